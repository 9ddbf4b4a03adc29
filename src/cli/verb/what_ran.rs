//! `brc what-ran`: what the last build ran, why, and what it waited for.

use std::{process::ExitCode, time::Duration};

use crate::{
    build::{critical_path, reason},
    cli::{
        CliError,
        action_report::{action_report, title},
        arguments,
        context::Context,
        json::{self, Object},
        output::{print, print_json, status},
        progress::seconds,
    },
    compose::Locked,
    content::{counted, date_text},
    store::{BuildEnd, StepRecord, StepState},
};

/// Says what the last build ran, why, and what it waited for.
pub fn run(context: &Context, arguments: &arguments::WhatRan) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target, Locked::AsItIs)?;
    let store = context.store()?;
    let builds = store.builds(&project.root, &order.variant.to_string(), usize::MAX)?;
    let Some(build) = builds.get(arguments.earlier) else {
        let remembered = counted(builds.len(), "build");
        let command = context.hints.image("compose", &[]).unwrap_or_default();
        let message = format!("remembered of `{}`: {remembered}; the next one is made by `{command}`", order.variant);
        return Err(CliError::Found(message));
    };
    let builds = builds.get(arguments.earlier..).unwrap_or_default();
    let ran = |(_, step): &(usize, &StepRecord)| step.state != StepState::Reused;
    let ran: Vec<(usize, &StepRecord)> = build.steps.iter().enumerate().filter(ran).collect();
    let path: Vec<&StepRecord> = critical_path(build).into_iter().filter_map(|at| build.steps.get(at)).collect();
    let on_path: Duration = path.iter().map(|step| step.took).sum();
    if context.is_json() {
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
    status(&format!(
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
    status(&format!("critical path {}: {}", seconds(on_path), steps.join(" -> ")));
    status(&format!("processors worked {} in all", seconds(build.processors)));
    for (what, verb) in [("again", "build"), ("inside", "shell")] {
        status(&format!("{what}: {}", context.hints.image(verb, &[&first.component]).unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}
