//! `brc shell` and `brc log`: look into what an action did.

use std::{
    fs,
    io::{stdin, stdout},
    os::fd::AsFd as _,
    path::PathBuf,
    process::ExitCode,
};

use super::{
    CliError, arguments,
    complain::{print, say},
    context::Context,
};
use crate::{
    build::{AfterFailure, Known},
    compose::{Locked, Session},
    content::{Digest, date_text},
    plan::{Action, Key, Run},
    sandbox::{Console, linux::Status},
};

/// One action of a component whose inputs are all there.
struct Found {
    name: String,
    key: Key,
    action: Action<Digest>,
}

/// Opens a shell in the sandbox of a component's last action.
pub fn shell(context: &Context, arguments: &arguments::Shell) -> Result<ExitCode, CliError> {
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut runs: Vec<(String, Run<Digest>, PathBuf)> = Vec::new();
    for found in actions_of(context, &session, &arguments.target, &arguments.component)? {
        if let Action::Run(run) = found.action {
            let kept = session.sandbox.kept(&session.store.log_path(found.key.digest()));
            runs.push((found.name, run, kept));
        }
    }
    if arguments.failed {
        runs.retain(|(_, _, kept)| kept.is_dir());
    }
    // The last one is what the component is built by; the ones before it prepare.
    let Some((name, run, kept)) = runs.pop() else {
        let what =
            if arguments.failed { "that failed and was kept" } else { "that runs a command and could start now" };
        return Err(CliError::Found(format!("`{}` has no action {what}", arguments.component)));
    };
    let kind = super::context::env_text("TERM").unwrap_or_else(|| "dumb".to_owned());
    say(&format!("a shell in the sandbox of `{name}`; the command is in $BRC_COMMAND: eval \"$BRC_COMMAND\""));
    let (input, output) = (stdin(), stdout());
    let console = Console { input: input.as_fd(), output: output.as_fd(), kind: &kind };
    let kept = arguments.failed.then_some(kept.as_path());
    let status = session.sandbox.shell(&run, kept, console).map_err(|error| CliError::Machine(error.into()))?;
    Ok(match status {
        Status::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Status::Signalled(signal) => ExitCode::from(128_u8.saturating_add(u8::try_from(signal).unwrap_or(0))),
    })
}

/// Prints what the actions of a component printed; when they would be others now, what they printed the last time.
pub fn log(context: &Context, arguments: &arguments::Log) -> Result<ExitCode, CliError> {
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut shown = 0;
    for found in actions_of(context, &session, &arguments.target, &arguments.component)? {
        if let Ok(text) = fs::read_to_string(session.store.log_path(found.key.digest())) {
            print(&format!("==> {}\n{}", found.name, text.trim_end()));
            shown += 1;
        }
    }
    let (project, order) = context.order(&arguments.target)?;
    for build in session.store.builds(&project.root, &order.variant.to_string(), usize::MAX)? {
        let own = build.steps.iter().filter(|step| super::explain::is_called(&step.component, &arguments.component));
        for step in own.filter(|_| shown == 0).collect::<Vec<_>>() {
            if let Ok(text) = fs::read_to_string(session.store.log_path(step.key)) {
                let (when, stage) = (date_text(build.began), &step.stage);
                print(&format!("==> {} {stage}, as it was {when}\n{}", step.component, text.trim_end()));
                shown += 1;
            }
        }
    }
    if shown == 0 {
        return Err(CliError::Found(format!("no action of `{}` has printed anything yet", arguments.component)));
    }
    Ok(ExitCode::SUCCESS)
}

fn actions_of(
    context: &Context,
    session: &Session<'_>,
    target: &arguments::Target,
    component: &str,
) -> Result<Vec<Found>, CliError> {
    let (project, order) = context.order(target)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let lowered = session.lower(&project, &images)?;
    super::explain::steps_of(&lowered.plan, component)?;
    let known = session.look(&lowered)?.into_iter().zip(&lowered.plan.steps);
    let own = known.filter(|(_, step)| super::explain::is_called(&step.component, component));
    Ok(own
        .filter_map(|(known, step)| match known {
            Known::Waiting => None,
            Known::Ready(key, action) | Known::Done(key, action, _) => {
                Some(Found { name: format!("{} {}", step.component, step.stage), key, action })
            }
        })
        .collect())
}
