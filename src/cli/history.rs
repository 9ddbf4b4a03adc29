//! `brc what-ran` and `brc why --rebuilt`: what builds did, and why.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use super::{
    CliError,
    arguments::{self, Target},
    context::Context,
    json::{self, ActionReport, Object},
    output::{print, print_json, say},
    progress::seconds,
};
use crate::{
    build::AfterFailure,
    compose::{Change, Locked, Project, Reason, Session, critical_path, reason},
    content::{Differs, Digest, counted, date_text, differences},
    graph::{Flat, origin},
    recipe::Span,
    store::{BuildEnd, BuildRecord, RecordedFact, StepRecord, StepState, Store},
};

/// More builds than a store remembers.
const ALL: usize = usize::MAX;
/// How many differing paths of a tree are shown.
const SHOWN_PATHS: usize = 5;
/// How many lines of each side of a changed text are shown.
const SHOWN_LINES: usize = 6;
/// Larger files are not compared line by line.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Says what the last build ran, why, and what it waited for.
pub fn what_ran(context: &Context, arguments: &arguments::WhatRan) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target)?;
    let store = context.store()?;
    let builds = store.builds(&project.root, &order.variant.to_string(), ALL)?;
    let Some(build) = builds.get(arguments.earlier) else {
        let remembered = counted(builds.len(), "build");
        let command = context.command("compose", &[]).unwrap_or_default();
        let message = format!("remembered of `{}`: {remembered}; the next one is made by `{command}`", order.variant);
        return Err(CliError::Found(message));
    };
    let builds = builds.get(arguments.earlier..).unwrap_or_default();
    let ran = |(_, step): &(usize, &StepRecord)| step.state != StepState::Reused;
    let ran: Vec<(usize, &StepRecord)> = build.steps.iter().enumerate().filter(ran).collect();
    let path: Vec<&StepRecord> = critical_path(build).into_iter().filter_map(|at| build.steps.get(at)).collect();
    let on_path: Duration = path.iter().map(|step| step.took).sum();
    if context.json {
        let report = |(at, step): &(usize, &StepRecord)| action_report(context, &store, step, &reason(builds, *at));
        print_json(&Object::WhatRan(json::WhatRan {
            command: build.command.clone(),
            began: date_text(build.began),
            end: build.end.name().to_owned(),
            seconds: build.took.as_secs_f64(),
            processor_seconds: build.processors.as_secs_f64(),
            reused: build.known,
            actions: ran.iter().map(report).collect(),
            critical_path: json::CriticalPath {
                seconds: on_path.as_secs_f64(),
                steps: path.iter().map(|step| title(step)).collect(),
            },
        }));
        return Ok(ExitCode::SUCCESS);
    }
    let end = if build.end == BuildEnd::Done { "done" } else { "failed" };
    let failed = match ran.iter().filter(|(_, step)| step.state == StepState::Failed).count() {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    say(&format!(
        "brc {}, {}: {end} in {}, on this machine ran {}{failed}, {} reused",
        build.command,
        date_text(build.began),
        seconds(build.took),
        counted(ran.len(), "action"),
        build.known
    ));
    for (at, step) in &ran {
        let took = if step.state == StepState::Failed { "failed".to_owned() } else { seconds(step.took) };
        print(&format!("{took:>12}  {}: {}", title(step), reason(builds, *at)));
    }
    let Some((_, first)) = ran.first() else { return Ok(ExitCode::SUCCESS) };
    let steps: Vec<String> = path.iter().map(|step| format!("{} {}", title(step), seconds(step.took))).collect();
    say(&format!("critical path {}: {}", seconds(on_path), steps.join(" -> ")));
    say(&format!("processors worked {} in all", seconds(build.processors)));
    for (what, verb) in [("again", "build"), ("inside", "shell")] {
        say(&format!("{what}: {}", context.command(verb, &[&first.component]).unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}

fn title(step: &StepRecord) -> String {
    format!("{} {}", step.component, step.stage)
}

fn action_report(context: &Context, store: &Store, step: &StepRecord, reason: &Reason) -> ActionReport {
    let log = store.log_path(step.key);
    let changes = if let Reason::Changed(changes) = reason { changes.as_slice() } else { &[] };
    ActionReport {
        action: json::Action {
            component: step.component.clone(),
            stage: step.stage.clone(),
            key: step.key.to_string(),
        },
        state: step.state.name().to_owned(),
        reason: reason.to_string(),
        changes: changes.iter().map(change_object).collect(),
        r#where: "this machine".to_owned(),
        seconds: step.took.as_secs_f64(),
        log: log.exists().then(|| log.display().to_string()),
        reproduce: context.command("build", &[&step.component]),
    }
}

fn change_object(change: &Change) -> json::Change {
    let value = |fact: &RecordedFact| match fact {
        RecordedFact::Tree(tree) => tree.to_string(),
        RecordedFact::Text(text) => text.clone(),
    };
    json::Change {
        what: change.name.clone(),
        old: change.old.as_ref().map(value),
        new: change.new.as_ref().map(value),
        details: None,
    }
}

/// Says which input of a component's actions changed: since they last ran if they would run now, else when they last
/// ran.
pub fn rebuilt(context: &Context, target: &Target, component: &str) -> Result<ExitCode, CliError> {
    let (project, order) = context.order_of(target, component)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let mut lowered = session.lower(&project, &images)?;
    lowered.plan.goals = super::explain::goals_of(&lowered.plan, component)?;
    let mut builds = session.store.builds(&project.root, &order.variant.to_string(), ALL)?;
    let flats = project.flats_with(&order.variant, &order.architectures, order.beside.as_ref())?;
    let foreseen = session.foreseen(&lowered)?;
    let ran = |step: &StepRecord| step.state != StepState::Reused;
    let own = |step: &StepRecord| ran(step) && super::explain::is_called(&step.component, component);
    let mut telling = Telling { context, session: &session, project: &project, flats: &flats, told: BTreeSet::new() };
    if foreseen.steps.iter().any(ran) {
        builds.insert(0, foreseen);
        telling.build("would run now", &builds, ran)?;
    } else if let Some(at) = builds.iter().position(|build| build.steps.iter().any(own)) {
        let builds = builds.get(at..).unwrap_or_default();
        let when = builds.first().map(|build| date_text(build.began)).unwrap_or_default();
        telling.build(&format!("ran {when}"), builds, own)?;
    } else {
        let message =
            format!("no action of `{component}` ran in the last {}: all were reused", counted(builds.len(), "build"));
        return Err(CliError::Found(message));
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells why steps of one build ran, and why those ran that made what changed.
struct Telling<'a> {
    context: &'a Context,
    session: &'a Session<'a>,
    project: &'a Project,
    flats: &'a [Flat],
    told: BTreeSet<usize>,
}

impl Telling<'_> {
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
            let Some(step) = build.steps.get(at).filter(|_| self.told.insert(at)) else { continue };
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
        if self.context.json {
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
