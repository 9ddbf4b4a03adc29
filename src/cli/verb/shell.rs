//! `brc shell`: a shell in the sandbox of an action.

use std::{
    io::{stdin, stdout},
    os::fd::AsFd as _,
    path::PathBuf,
    process::ExitCode,
};

use crate::{
    build::AfterFailure,
    cli::{CliError, arguments, component_actions::actions_of, context::Context, output::status},
    compose::Locked,
    content::Digest,
    plan::{Action, Run},
    sandbox::{Console, linux::Status},
};

/// Opens a shell in the sandbox of a component's last action.
pub fn run(context: &Context, arguments: &arguments::Shell) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let (project, order) = context.order_of(&target, &component, Locked::AsItIs)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let mut runs: Vec<(String, Run<Digest>, PathBuf)> = Vec::new();
    for found in actions_of(&session, &project, &order, &component)? {
        if let Action::Run(run) = found.action {
            let kept = session.sandbox.kept(&session.store.log_path(found.key.digest()));
            runs.push((format!("{} {}", found.component, found.stage), run, kept));
        }
    }
    if arguments.failed {
        runs.retain(|(_, _, kept)| kept.is_dir());
    }
    // The last one is what the component is built by; the ones before it prepare.
    let Some((name, run, kept)) = runs.pop() else {
        let what =
            if arguments.failed { "that failed and was kept" } else { "that runs a command and could start now" };
        return Err(CliError::Found(format!("`{component}` has no action {what}")));
    };
    status(&format!("a shell in the sandbox of `{name}`; the command is in $BRC_COMMAND: eval \"$BRC_COMMAND\""));
    let (input, output) = (stdin(), stdout());
    let console = Console { input: input.as_fd(), output: output.as_fd(), kind: context.config.terminal() };
    let kept = arguments.failed.then_some(kept.as_path());
    let status = session.sandbox.shell(&run, kept, console).map_err(|error| CliError::Machine(error.into()))?;
    Ok(match status {
        Status::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Status::Signalled(signal) => ExitCode::from(128_u8.saturating_add(u8::try_from(signal).unwrap_or(0))),
    })
}
