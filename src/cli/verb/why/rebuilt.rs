//! `brc why --rebuilt`: which input of a component's actions changed since they last ran.

use std::{collections::BTreeSet, process::ExitCode};

use crate::{
    build::{AfterFailure, Change, Reason, reason},
    cli::{
        CliError,
        action_report::{action_report, title},
        arguments::Target,
        context::Context,
        json::Object,
        output::{print, print_json},
    },
    compose::{Locked, Project, Session},
    content::{Differs, Digest, counted, date_text, differences},
    graph::{Flat, origin},
    plan::is_called,
    recipe::Span,
    store::{BuildRecord, RecordedFact, StepRecord, StepState, Store},
};

/// How many differing paths of a tree are shown.
const SHOWN_PATHS: usize = 5;
/// How many lines of each side of a changed text are shown.
const SHOWN_LINES: usize = 6;
/// Larger files are not compared line by line.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Says which input of a component's actions changed: since they last ran if they would run now, else when they last
/// ran.
pub fn run(context: &Context, target: &Target, component: &str) -> Result<ExitCode, CliError> {
    let (project, order) = context.order_of(target, component, Locked::AsItIs)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let mut lowered = session.lower(&project, &images)?;
    lowered.plan.want_component(component)?;
    let mut builds = session.store.builds(&project.root, &order.variant.to_string(), usize::MAX)?;
    let flats = project.flats_with(&order.variant, &order.architectures, order.beside.as_ref())?;
    let due = session.due(&lowered)?;
    let ran = |step: &StepRecord| step.state != StepState::Reused;
    let own = |step: &StepRecord| ran(step) && is_called(&step.component, component);
    let mut history = History { context, session: &session, project: &project, flats: &flats, shown: BTreeSet::new() };
    if due.steps.iter().any(ran) {
        builds.insert(0, due);
        history.build("would run now", &builds, ran)?;
    } else if let Some(at) = builds.iter().position(|build| build.steps.iter().any(own)) {
        let builds = builds.get(at..).unwrap_or_default();
        let when = builds.first().map(|build| date_text(build.began)).unwrap_or_default();
        history.build(&format!("ran {when}"), builds, own)?;
    } else {
        let message =
            format!("no action of `{component}` ran in the last {}: all were reused", counted(builds.len(), "build"));
        return Err(CliError::Found(message));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows why steps of one build ran, and why those ran that made what changed.
struct History<'a> {
    context: &'a Context,
    session: &'a Session<'a>,
    project: &'a Project,
    flats: &'a [Flat],
    shown: BTreeSet<usize>,
}

impl History<'_> {
    fn build(
        &mut self,
        verb: &str,
        builds: &[BuildRecord],
        is_asked: impl Fn(&StepRecord) -> bool,
    ) -> Result<(), CliError> {
        let Some(build) = builds.first() else { return Ok(()) };
        let mut next: Vec<usize> =
            build.steps.iter().enumerate().filter(|(_, step)| is_asked(step)).map(|(at, _)| at).collect();
        next.reverse();
        while let Some(at) = next.pop() {
            let Some(step) = build.steps.get(at).filter(|_| self.shown.insert(at)) else { continue };
            let reason = reason(builds, at);
            if let Reason::Changed(changes) = &reason {
                next.extend(changes.iter().rev().filter_map(|change| change.maker));
            }
            self.step(verb, build, step, &reason)?;
        }
        Ok(())
    }

    fn step(&self, verb: &str, build: &BuildRecord, step: &StepRecord, reason: &Reason) -> Result<(), CliError> {
        let changes: &[Change] = if let Reason::Changed(changes) = reason { changes } else { &[] };
        let details: Vec<Vec<String>> = changes.iter().map(|change| self.details(step, change)).collect();
        if self.context.is_json() {
            let mut report = action_report(self.context, &self.session.store, step, reason);
            for (change, lines) in report.changes.iter_mut().zip(details) {
                change.details = Some(lines);
            }
            print_json(&Object::Rebuilt(report));
            return Ok(());
        }
        if changes.is_empty() {
            print(&format!("{} {verb}: {reason}", title(step)));
            return Ok(());
        }
        print(&format!("{} {verb}:", title(step)));
        for (change, lines) in changes.iter().zip(details) {
            let maker = change.maker.and_then(|maker| build.steps.get(maker));
            let maker = maker.map_or_else(String::new, |maker| format!(", made by `{}`", title(maker)));
            print(&format!("  {change}{maker}"));
            lines.iter().for_each(|line| print(&format!("    {line}")));
        }
        Ok(())
    }

    /// What is different inside, as far as the store still has both, and which line of a recipe says so.
    fn details(&self, step: &StepRecord, change: &Change) -> Vec<String> {
        match (&change.old, &change.new) {
            (Some(RecordedFact::Tree(old)), Some(RecordedFact::Tree(new))) => {
                tree_lines(&self.session.store, *old, *new)
            }
            (Some(RecordedFact::Text(old)), Some(RecordedFact::Text(new))) => {
                let (_, mut lines) = changed_lines(old, new);
                lines.extend(self.place_of(step, old, new));
                lines
            }
            _ => Vec::new(),
        }
    }

    /// The line of the component's recipe that has the new text, else where the recipe begins.
    fn place_of(&self, step: &StepRecord, old: &str, new: &str) -> Option<String> {
        let span = self.flats.iter().find_map(|flat| {
            let component = flat.components.iter().find(|known| known.name.to_string() == step.component);
            let kernel = (flat.kernel.name.to_string() == step.component).then_some(flat.kernel.span);
            component.map(|component| component.span).or(kernel)
        })?;
        let text = self.project.sources.text(span.file).get(span.start as usize..span.end as usize)?;
        let is_new = |line: &&str| !old.lines().any(|known| known == *line) && !line.trim().is_empty();
        let place = new.lines().filter(is_new).find_map(|line| {
            let at = text.find(line.trim())?;
            Some(Span { start: span.start + u32::try_from(at).ok()?, ..span })
        });
        Some(format!("see {}", origin(&self.project.sources, place.unwrap_or(span))))
    }
}

/// The first paths at which two trees differ, and the first lines of the first text that does.
fn tree_lines(store: &Store, old: Digest, new: Digest) -> Vec<String> {
    let (Ok(old), Ok(new)) = (store.tree(old), store.tree(new)) else {
        return vec!["what it was is not in the store any more".to_owned()];
    };
    let found = differences(&old, &new);
    let mut lines: Vec<String> = found.iter().take(SHOWN_PATHS).map(ToString::to_string).collect();
    if found.len() > SHOWN_PATHS {
        lines.push(format!("and {}", counted(found.len() - SHOWN_PATHS, "more path")));
    }
    let text = |blob: Digest| {
        let bytes = store.read(blob).ok().filter(|bytes| bytes.len() <= MAX_TEXT_BYTES && !bytes.contains(&0))?;
        String::from_utf8(bytes).ok()
    };
    let first = found.iter().take(SHOWN_PATHS).find_map(|difference| match difference.how {
        Differs::Bytes { first, second } => Some((&difference.path, text(first)?, text(second)?)),
        _ => None,
    });
    if let Some((path, old, new)) = first {
        let (number, changed) = changed_lines(&old, &new);
        lines.push(format!("from line {number} of `{path}`:"));
        lines.extend(changed.into_iter().map(|line| format!("  {line}")));
    }
    lines
}

/// The number of the first line that differs, and what lies between the lines that are the same at both ends.
fn changed_lines(old: &str, new: &str) -> (usize, Vec<String>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(same..).unwrap_or_default(), new.get(same..).unwrap_or_default());
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let mut lines = Vec::new();
    for (mark, side) in [('-', old), ('+', new)] {
        let side = side.get(..side.len() - after).unwrap_or_default();
        lines.extend(side.iter().take(SHOWN_LINES).map(|line| format!("{mark} {line}")));
        if side.len() > SHOWN_LINES {
            lines.push(format!("{mark} … {}", counted(side.len() - SHOWN_LINES, "more line")));
        }
    }
    (same + 1, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_of_a_text_is_shown() {
        for (old, new, number, lines) in [
            ("a\nb\nc\n", "a\nx\nc\n", 2, vec!["- b", "+ x"]),
            ("a\n", "a\nb\n", 2, vec!["+ b"]),
            ("a\na\n", "a\n", 2, vec!["- a"]),
            ("gcc", "clang", 1, vec!["- gcc", "+ clang"]),
        ] {
            assert_eq!(changed_lines(old, new), (number, lines.into_iter().map(str::to_owned).collect()));
        }
        let (_, lines) = changed_lines("", &"x\n".repeat(20));
        assert_eq!(lines.last().unwrap(), "+ … 14 more lines");
    }
}
