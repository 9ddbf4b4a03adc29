//! What of a plan is run: its goals are narrowed to parts of images, to a component or to outputs of steps.

use std::collections::BTreeSet;

use super::{Goal, Plan, Source, Step, StepId};

/// No step of a plan belongs to a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no action belongs to `{component}`: expected a package, or what is made here: {}", made.join(", "))]
pub struct NoStepOf {
    /// The component, as it was named.
    pub component: String,
    /// What has steps that do more than fetch.
    pub made: Vec<String>,
}

/// Whether a component is meant by this name, with or without its set: `brc/runc` by `runc`.
pub fn is_called(component: &str, name: &str) -> bool {
    component == name || component.rsplit('/').next() == Some(name)
}

impl Step {
    /// The step as people know it, and as its duration is remembered: `brc/runc compile`.
    pub fn title(&self) -> String {
        format!("{} {}", self.component, self.stage)
    }
}

impl Plan {
    /// The first step of a component at a stage.
    pub fn step(&self, component: &str, stage: &str) -> Option<StepId> {
        self.steps.iter().position(|step| step.component == component && step.stage == stage).map(StepId)
    }

    /// The last steps of a component: those that no other step of it needs.
    ///
    /// # Errors
    /// It has no step.
    pub fn last_steps_of(&self, component: &str) -> Result<Vec<StepId>, NoStepOf> {
        let own = self.steps.iter().enumerate().filter(|(_, step)| is_called(&step.component, component));
        let own: Vec<(usize, &Step)> = own.collect();
        let needed: BTreeSet<StepId> = own.iter().flat_map(|(_, step)| step.action.needs()).collect();
        let last: Vec<StepId> = own.iter().map(|(at, _)| StepId(*at)).filter(|id| !needed.contains(id)).collect();
        if last.is_empty() {
            // Not the hundreds of packages, which are only fetched.
            let made = self.steps.iter().filter(|step| step.stage != "fetch");
            let made: BTreeSet<String> = made.map(|step| step.component.clone()).collect();
            return Err(NoStepOf { component: component.to_owned(), made: made.into_iter().collect() });
        }
        Ok(last)
    }

    /// Wants the last steps of a component and nothing else.
    ///
    /// # Errors
    /// It has no step; the goals stay what they were.
    pub fn want_component(&mut self, component: &str) -> Result<(), NoStepOf> {
        let last = self.last_steps_of(component)?;
        let goals = last.into_iter().filter_map(|id| {
            // To ask for one output has all of a step's made.
            let outputs = self.steps.get(id.0)?.action.output_names();
            Some(Goal::output(id, outputs.first()?))
        });
        self.goals = goals.collect();
        Ok(())
    }

    /// Wants some of its goals and no others.
    pub fn want_goals(&mut self, is_wanted: impl Fn(&Goal) -> bool) {
        self.goals.retain(|(goal, _)| is_wanted(goal));
    }

    /// Wants these outputs of steps and nothing else; the goal of each, in order.
    pub fn want_outputs<'a>(&mut self, outputs: impl IntoIterator<Item = (StepId, &'a str)>) -> Vec<Goal> {
        self.goals = outputs.into_iter().map(|(step, output)| Goal::output(step, output)).collect();
        self.goals.iter().map(|(goal, _)| goal.clone()).collect()
    }

    /// The steps that goals are outputs of.
    pub fn goal_steps(&self) -> impl Iterator<Item = StepId> {
        self.goals.iter().filter_map(|(_, source)| match source {
            Source::Output { step, .. } => Some(*step),
            Source::Tree(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::Role,
        plan::{Action, Assemble, ImagePart, Root, RootLayer},
    };

    fn step(component: &str, stage: &str, needs: &[usize]) -> Step {
        let layer =
            |need: &usize| RootLayer::plain("owner", Source::Output { step: StepId(*need), output: "root".to_owned() });
        let layers = needs.iter().map(layer).collect();
        let action = Action::Assemble(Assemble::Root(Root { layers }));
        Step { component: component.to_owned(), stage: stage.to_owned(), action }
    }

    /// `brc/a` is made in two steps, the second of which is for two targets; `b` is only fetched, `v` needs all.
    fn plan() -> Plan {
        let steps = vec![
            step("b", "fetch", &[]),
            step("brc/a", "unpack", &[]),
            step("brc/a", "build", &[1, 0]),
            step("brc/a", "build", &[1]),
            step("v", "root", &[2, 3]),
        ];
        let root = Goal::of_image("v x86_64", ImagePart::Root);
        let tool = Goal::of_image("v x86_64", ImagePart::Tool(Role::Machine));
        let output = |step: usize| Source::Output { step: StepId(step), output: "root".to_owned() };
        Plan { steps, goals: vec![(root, output(4)), (tool, output(3))] }
    }

    #[test]
    fn a_component_is_called_with_or_without_its_set() {
        for (component, name, expected) in [
            ("brc/a", "brc/a", true),
            ("brc/a", "a", true),
            ("a", "a", true),
            ("brc/a", "brc", false),
            ("a", "brc/a", false),
        ] {
            assert_eq!(is_called(component, name), expected, "{component} {name}");
        }
    }

    #[test]
    fn the_last_steps_of_a_component_are_wanted_and_what_they_need() {
        let mut plan = plan();
        assert_eq!(plan.last_steps_of("a"), Ok(vec![StepId(2), StepId(3)]));
        assert_eq!(plan.last_steps_of("b"), Ok(vec![StepId(0)]));
        plan.want_component("brc/a").unwrap();
        assert_eq!(plan.goal_steps().collect::<Vec<_>>(), [StepId(2), StepId(3)]);
        assert_eq!(plan.wanted(), [0, 1, 2, 3].map(StepId).into());
        let before = plan.goals.clone();
        let refused = plan.want_component("c").unwrap_err();
        assert_eq!(refused.to_string(), "no action belongs to `c`: expected a package, or what is made here: brc/a, v");
        assert_eq!(plan.goals, before);
    }

    #[test]
    fn goals_are_narrowed_and_outputs_asked_for() {
        let mut plan = plan();
        plan.want_goals(Goal::is_composed);
        assert_eq!(plan.goal_steps().collect::<Vec<_>>(), [StepId(4)]);
        let step = plan.step("brc/a", "build").unwrap();
        assert_eq!((step, plan.step("brc/a", "root")), (StepId(2), None));
        let goals = plan.want_outputs([(step, "root"), (step, "owners")]);
        assert_eq!(goals, [Goal::output(step, "root").0, Goal::output(step, "owners").0]);
        assert_eq!(plan.goals.len(), 2);
        assert_eq!(plan.steps[1].title(), "brc/a unpack");
    }
}
