//! `brc shell` and `brc log`: look into what an action did.

use std::{
    fs,
    io::{self, stdin, stdout},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    CliError, arguments,
    context::Context,
    json::{self, Object},
    output::{print, print_json, print_log, say},
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
    component: String,
    stage: String,
    key: Key,
    action: Action<Digest>,
}

/// Opens a shell in the sandbox of a component's last action.
pub fn shell(context: &Context, arguments: &arguments::Shell) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut runs: Vec<(String, Run<Digest>, PathBuf)> = Vec::new();
    for found in actions_of(context, &session, &target, &component)? {
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
    let (target, component) = arguments.named.split()?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut shown = 0;
    for found in actions_of(context, &session, &target, &component)? {
        if let Some(text) = read_log(&session.store.log_path(found.key.digest()))? {
            let (component, stage, key) = (found.component, found.stage, found.key.to_string());
            show_log(context, json::Log { action: json::Action { component, stage, key }, began: None, text });
            shown += 1;
        }
    }
    let (project, order) = context.order_of(&target, &component)?;
    for build in session.store.builds(&project.root, &order.variant.to_string(), usize::MAX)? {
        let own = build.steps.iter().filter(|step| super::explain::is_called(&step.component, &component));
        for step in own.filter(|_| shown == 0).collect::<Vec<_>>() {
            if let Some(text) = read_log(&session.store.log_path(step.key))? {
                let (component, stage, key) = (step.component.clone(), step.stage.clone(), step.key.to_string());
                let began = Some(date_text(build.began));
                show_log(context, json::Log { action: json::Action { component, stage, key }, began, text });
                shown += 1;
            }
        }
    }
    if shown == 0 {
        return Err(CliError::Found(format!("no action of `{component}` has printed anything yet")));
    }
    Ok(ExitCode::SUCCESS)
}

fn show_log(context: &Context, log: json::Log) {
    if context.json {
        return print_json(&Object::Log(log));
    }
    let when = log.began.map_or(String::new(), |when| format!(", as it was {when}"));
    print(&format!("==> {} {}{when}", log.action.component, log.action.stage));
    print_log(log.text.trim_end());
}

/// What an action printed; none when it left no log. Bytes that are no UTF-8 are shown as such.
fn read_log(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::Machine(format!("the log `{}` cannot be read: {error}", path.display()).into())),
    }
}

fn actions_of(
    context: &Context,
    session: &Session<'_>,
    target: &arguments::Target,
    component: &str,
) -> Result<Vec<Found>, CliError> {
    let (project, order) = context.order_of(target, component)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let lowered = session.lower(&project, &images)?;
    super::explain::steps_of(&lowered.plan, component)?;
    let known = session.look(&lowered)?.into_iter().zip(&lowered.plan.steps);
    let own = known.filter(|(_, step)| super::explain::is_called(&step.component, component));
    Ok(own
        .filter_map(|(known, step)| match known {
            Known::Waiting => None,
            Known::Ready(key, action) | Known::Done(key, action, _) => {
                Some(Found { component: step.component.clone(), stage: step.stage.clone(), key, action })
            }
        })
        .collect())
}
