//! Why a step ran, from the records of builds; and which steps a build waited for.

use std::{collections::BTreeSet, fmt, time::Duration};

use crate::store::{BuildRecord, RecordedFact, StepRecord, StepState};

/// Why a step was not reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No build that is remembered had this step.
    Never,
    /// It is the same action as before, but what it gave was not there any more.
    Collected,
    /// The same action failed before, so that it gave nothing.
    FailedBefore,
    /// It is another action than before.
    Changed(Vec<Change>),
}

/// One thing that an action is made from and that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is: ``input `source` ``, ``variable `CC` ``.
    pub name: String,
    /// What it was; `None` when it was not there.
    pub old: Option<RecordedFact>,
    /// What it is; `None` when it is not there any more.
    pub new: Option<RecordedFact>,
    /// The step of the same build that made the new tree.
    pub maker: Option<usize>,
}

/// Why a step of the first build ran, as far as the builds after it (older and older ones) tell.
pub fn reason(builds: &[BuildRecord], step: usize) -> Reason {
    let Some((build, older)) = builds.split_first() else { return Reason::Never };
    let Some(now) = build.steps.get(step) else { return Reason::Never };
    let Some(before) = older.iter().find_map(|build| nearest(build, now)) else { return Reason::Never };
    if before.key == now.key {
        return if before.state == StepState::Failed { Reason::FailedBefore } else { Reason::Collected };
    }
    let mut changes = changes(before, now);
    for change in &mut changes {
        if let Some(RecordedFact::Tree(tree)) = &change.new {
            let made_it = |need: &&usize| build.steps.get(**need).is_some_and(|m| m.gave.values().any(|t| t == tree));
            change.maker = now.needs.iter().find(made_it).copied();
        }
    }
    Reason::Changed(changes)
}

/// What tells steps of one component and stage apart that are for different targets.
const TARGET: [&str; 2] = ["architecture", "variable `arch`"];

/// The step of an earlier build that is about the same as `now`: one plan may hold a component for several
/// architectures.
fn nearest<'a>(build: &'a BuildRecord, now: &StepRecord) -> Option<&'a StepRecord> {
    let same = build.steps.iter().filter(|step| {
        let for_the_same = TARGET.iter().all(|name| step.facts.get(*name) == now.facts.get(*name));
        step.component == now.component && step.stage == now.stage && for_the_same
    });
    same.min_by_key(|step| (step.key != now.key, changes(step, now).len()))
}

fn changes(before: &StepRecord, now: &StepRecord) -> Vec<Change> {
    let names: BTreeSet<&String> = before.facts.keys().chain(now.facts.keys()).collect();
    let pairs = names.into_iter().map(|name| (name, before.facts.get(name), now.facts.get(name)));
    let differ = pairs.filter(|(_, old, new)| old != new);
    differ
        .map(|(name, old, new)| Change { name: name.clone(), old: old.cloned(), new: new.cloned(), maker: None })
        .collect()
}

/// The chain of steps that took longest, each of which needs the one before; what was reused takes no time.
pub fn critical_path(build: &BuildRecord) -> Vec<usize> {
    let mut longest: Vec<(Duration, Option<usize>)> = Vec::with_capacity(build.steps.len());
    for step in &build.steps {
        let before = step.needs.iter().filter_map(|need| Some((longest.get(*need)?.0, *need)));
        let before = before.max_by_key(|(took, need)| (*took, std::cmp::Reverse(*need)));
        let took = before.map_or(Duration::ZERO, |(took, _)| took) + step.took;
        longest.push((took, before.map(|(_, need)| need)));
    }
    let last = (0..longest.len()).max_by_key(|at| (longest.get(*at).map(|(took, _)| *took), std::cmp::Reverse(*at)));
    let chain = std::iter::successors(last, |at| longest.get(*at)?.1);
    let mut path: Vec<usize> =
        chain.filter(|at| build.steps.get(*at).is_some_and(|step| step.state == StepState::Ran)).collect();
    path.reverse();
    path
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Never => f.write_str("never built before"),
            Reason::Collected => f.write_str("what it gave before was collected"),
            Reason::FailedBefore => f.write_str("it failed the last time"),
            Reason::Changed(changes) => match changes.split_first() {
                None => f.write_str("the order of its inputs changed"),
                Some((first, [])) => first.fmt(f),
                Some((first, rest)) => write!(f, "{first}, and {} more", rest.len()),
            },
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name == "kind version" { "version of how it is done" } else { &self.name };
        match (&self.old, &self.new) {
            (None, _) => write!(f, "{name} is new"),
            (_, None) => write!(f, "{name} is gone"),
            (Some(RecordedFact::Tree(old)), Some(RecordedFact::Tree(new))) => {
                write!(f, "{name} changed from {} to {}", old.short(), new.short())
            }
            (Some(RecordedFact::Text(old)), Some(RecordedFact::Text(new))) if is_short(old) && is_short(new) => {
                write!(f, "{name} changed from `{old}` to `{new}`")
            }
            _ => write!(f, "{name} changed"),
        }
    }
}

/// Whether a text fits into a sentence.
fn is_short(text: &str) -> bool {
    text.len() <= 60 && !text.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{content::Digest, store::BuildEnd};
    use std::collections::BTreeMap;

    fn step(name: &str, milliseconds: u64, needs: &[usize], facts: &[(&str, &str)]) -> StepRecord {
        let fact = |value: &str| match value.strip_prefix('@') {
            Some(tree) => RecordedFact::Tree(Digest::of(tree.as_bytes())),
            None => RecordedFact::Text(value.to_owned()),
        };
        StepRecord {
            component: name.to_owned(),
            stage: "build".to_owned(),
            key: Digest::of(format!("{name} {facts:?}").as_bytes()),
            state: if milliseconds == 0 { StepState::Reused } else { StepState::Ran },
            took: Duration::from_millis(milliseconds),
            needs: needs.to_vec(),
            gave: BTreeMap::from([("out".to_owned(), Digest::of(format!("{name} out").as_bytes()))]),
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), fact(value))).collect(),
        }
    }

    fn build(steps: Vec<StepRecord>) -> BuildRecord {
        BuildRecord {
            command: "compose".to_owned(),
            began: 0,
            took: Duration::ZERO,
            processors: Duration::ZERO,
            end: BuildEnd::Done,
            known: 0,
            steps,
        }
    }

    #[test]
    fn every_reason_is_told() {
        let of = |old: &[(&str, &str)], new: &[(&str, &str)]| {
            let needed = step("b", 1, &[], &[]);
            let now = build(vec![needed, step("a", 1, &[0], new)]);
            reason(&[now, build(vec![]), build(vec![step("a", 1, &[], old), step("b", 1, &[], &[])])], 1).to_string()
        };
        let long = "x".repeat(80);
        for (old, new, expected) in [
            (
                vec![("kind version", "1")],
                vec![("kind version", "2")],
                "version of how it is done changed from `1` to `2`",
            ),
            (
                vec![("variable `CC`", "gcc")],
                vec![("variable `CC`", "clang")],
                "variable `CC` changed from `gcc` to `clang`",
            ),
            (vec![("command", "a")], vec![("command", &*long)], "command changed"),
            (vec![], vec![("variable `CC`", "gcc")], "variable `CC` is new"),
            (vec![("variable `CC`", "gcc")], vec![], "variable `CC` is gone"),
            (vec![("x", "1"), ("y", "1")], vec![("x", "2"), ("y", "2")], "x changed from `1` to `2`, and 1 more"),
            (vec![("x", "1")], vec![("x", "1")], "what it gave before was collected"),
        ] {
            assert_eq!(of(&old, &new), expected);
        }
        let tree = |text: &str| Digest::of(text.as_bytes()).short();
        let told = of(&[("input `b`", "@old")], &[("input `b`", "@b out")]);
        assert_eq!(told, format!("input `b` changed from {} to {}", tree("old"), tree("b out")));
        let now = build(vec![step("a", 1, &[], &[])]);
        assert_eq!(reason(std::slice::from_ref(&now), 0).to_string(), "never built before");
        let mut failed = now.clone();
        failed.steps[0].state = StepState::Failed;
        assert_eq!(reason(&[now, failed], 0).to_string(), "it failed the last time");
    }

    #[test]
    fn a_changed_tree_names_the_step_that_made_it() {
        let old = build(vec![step("a", 1, &[], &[("input `b`", "@old")])]);
        let new = build(vec![
            step("c", 1, &[], &[]),
            step("b", 1, &[], &[]),
            step("a", 1, &[0, 1], &[("input `b`", "@b out")]),
        ]);
        let Reason::Changed(changes) = reason(&[new, old], 2) else { panic!("it changed") };
        assert_eq!(changes[0].maker, Some(1));
    }

    #[test]
    fn a_component_for_two_architectures_is_compared_with_its_own_past() {
        let of = |arch, version| step("a", 1, &[], &[("variable `arch`", arch), ("version", version)]);
        let old = build(vec![of("x86_64", "1"), of("aarch64", "1")]);
        let new = build(vec![of("x86_64", "2"), of("aarch64", "2")]);
        let told = "version changed from `1` to `2`";
        assert_eq!(reason(&[new.clone(), old.clone()], 0).to_string(), told);
        assert_eq!(reason(&[new.clone(), old], 1).to_string(), told);
        let other = build(vec![of("x86_64", "1")]);
        assert_eq!(reason(&[new, other], 1).to_string(), "never built before");
    }

    #[test]
    fn the_critical_path_is_the_longest_chain() {
        let build = build(vec![
            step("fetch", 100, &[], &[]),
            step("short", 200, &[0], &[]),
            step("long", 500, &[0], &[]),
            step("known", 0, &[2], &[]),
            step("root", 50, &[1, 3], &[]),
            step("alone", 600, &[], &[]),
        ]);
        assert_eq!(critical_path(&build), [0, 2, 4]);
        assert_eq!(critical_path(&self::build(vec![])), [0; 0]);
    }
}
