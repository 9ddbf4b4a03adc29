//! `brc plan`: the actions that make an image, and which of them are done.

use std::process::ExitCode;

use crate::{
    build::{AfterFailure, Known},
    cli::{
        CliError, arguments,
        context::Context,
        json::{self, Object},
        output::{print, print_json},
        progress::seconds,
    },
    compose::Locked,
};

/// Prints the actions and which of them are done.
pub fn run(context: &Context, arguments: &arguments::Plan) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target, Locked::AsItIs)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let lowered = session.lower(&project, &images)?;
    let mut states = Vec::with_capacity(lowered.plan.steps.len());
    session.look_each(&lowered, |known| {
        states.push(match known {
            Known::Waiting => "waiting",
            Known::Ready(..) => "ready",
            Known::Done(..) => "done",
        });
    })?;
    let mut lines = Vec::new();
    for (index, (step, state)) in lowered.plan.steps.iter().zip(states).enumerate() {
        let needs = step.action.needs();
        let last = session.store.last_duration(&step.title());
        if context.is_json() {
            print_json(&Object::Planned(json::PlannedAction {
                step: index,
                component: step.component.clone(),
                stage: step.stage.clone(),
                needs: needs.iter().map(|need| need.0).collect(),
                state: state.to_owned(),
                last_seconds: last.map(|last| last.as_secs_f64()),
            }));
        } else {
            let needs: Vec<String> = needs.iter().take(6).map(|need| need.0.to_string()).collect();
            let last = last.map_or(String::new(), |last| format!(", took {}", seconds(last)));
            lines.push(format!(
                "{index:>4}  {state:<8} {} {}  (after {}{last})",
                step.component,
                step.stage,
                needs.join(" ")
            ));
        }
    }
    // At once: a plan may have thousands of lines.
    if !lines.is_empty() {
        print(&lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}
