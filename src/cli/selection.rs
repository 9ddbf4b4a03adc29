//! Which steps of a plan a name of the command line means.

use std::collections::BTreeSet;

use super::CliError;
use crate::plan::{Goal, Plan, Source, StepId};

/// The last steps of a component: those that no other step of it needs.
pub fn steps_of(plan: &Plan, component: &str) -> Result<Vec<StepId>, CliError> {
    let own = (0..plan.steps.len()).map(StepId).filter(|id| is_called(&plan.steps[id.0].component, component));
    let own: Vec<StepId> = own.collect();
    let needed: BTreeSet<StepId> = own.iter().flat_map(|id| plan.steps[id.0].action.needs()).collect();
    let last: Vec<StepId> = own.into_iter().filter(|id| !needed.contains(id)).collect();
    if last.is_empty() {
        // Not the hundreds of packages, which are only fetched.
        let made = plan.steps.iter().filter(|step| step.stage != "fetch");
        let made: BTreeSet<&str> = made.map(|step| step.component.as_str()).collect();
        let made: Vec<&str> = made.into_iter().collect();
        let message = format!(
            "no action belongs to `{component}`: expected a package, or what is made here: {}",
            made.join(", ")
        );
        return Err(CliError::Usage(message));
    }
    Ok(last)
}

/// Whether a component is meant by this name, with or without its set.
pub fn is_called(component: &str, name: &str) -> bool {
    component == name || component.rsplit('/').next() == Some(name)
}

/// Goals that have the last steps of a component done: asking for one output has all of a step's made.
pub fn goals_of(plan: &Plan, component: &str) -> Result<Vec<(Goal, Source)>, CliError> {
    let goals = steps_of(plan, component)?.into_iter().filter_map(|id| {
        let step = plan.steps.get(id.0)?;
        Some(Goal::output(id, step.action.output_names().first()?))
    });
    Ok(goals.collect())
}
