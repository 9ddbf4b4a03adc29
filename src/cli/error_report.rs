//! An error as people and programs see it, with what to do next.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::ExitCode,
};

use brc_contract::error_chain;

use super::{
    CliError,
    diagnostics::show_diagnostics,
    hint::Hints,
    json::{self, Event},
    output::{Style, print_event, status, status_log},
};
use crate::{
    build::{BuildError, StepFailure},
    compose::ComposeError,
    content::counted,
    fetch::FetchError,
    sandbox::RunError,
};

/// How many lines of a failed action's log are shown.
const TAIL_LINES: usize = 20;
/// How many bytes of a log are looked at for them.
const TAIL_BYTES: u64 = 32 << 10;

/// Shows an error and gives its exit code.
pub fn report(style: Style, hints: &Hints, error: &CliError) -> ExitCode {
    match error {
        CliError::Compose(ComposeError::Recipes { sources, diagnostics }) => {
            show_diagnostics(style, sources, diagnostics);
        }
        CliError::Compose(ComposeError::Build(BuildError::Steps { failures, skipped })) => {
            failures.iter().for_each(|failure| report_step(style, hints, failure));
            if *skipped > failures.len() {
                status(&format!("not tried: {}", counted(skipped - failures.len(), "more action")));
            }
        }
        error => report_message(style, &error.message()),
    }
    if let CliError::Compose(ComposeError::Set { source, .. }) = error
        && let Some(way_out) = source.way_out()
        && style == Style::People
    {
        status(&format!("help: {way_out}"));
    }
    if let CliError::Compose(ComposeError::Unlocked { .. }) = error
        && style == Style::People
    {
        status(&format!("next: {}", hints.project("lock", &[])));
    }
    ExitCode::from(error.exit_code())
}

/// Shows an error that is one sentence.
pub fn report_message(style: Style, message: &str) {
    match style {
        Style::Json => print_event(Event::Error { error: message.to_owned() }),
        Style::People => status(&format!("error: {message}")),
    }
}

fn report_step(style: Style, hints: &Hints, failed: &StepFailure) {
    let step = &failed.step;
    if style == Style::Json {
        print_event(Event::Failure {
            action: json::Action::from(step),
            error: error_chain(failed.failure.error.as_ref()),
            log: failed.log.display().to_string(),
        });
        return;
    }
    // The chain may end in the last lines of a log, with its colours.
    status_log(&format!(
        "error: `{}` failed at `{}`: {}",
        step.component,
        step.stage,
        error_chain(failed.failure.error.as_ref())
    ));
    let error = failed.failure.error.as_ref();
    let of_fetch = || error.downcast_ref::<FetchError>().and_then(FetchError::way_out);
    let of_run = || error.downcast_ref::<RunError>().and_then(RunError::way_out);
    if let Some(way_out) = of_fetch().or_else(of_run) {
        status(&format!("help: {way_out}"));
    }
    let is_gone = error.downcast_ref::<FetchError>().and_then(FetchError::gone).is_some();
    // What fails while it is being locked is no action of an image yet, so no shell would find it.
    let run = failed.failure.error.downcast_ref::<RunError>();
    let tail = tail(&failed.log);
    // A command that failed tells its last lines itself.
    if run.is_none() && !tail.is_empty() {
        status("its last lines:");
        status_log(&tail);
        status(&format!("all of it: {}", failed.log.display()));
    }
    if is_gone {
        status(&format!("next: {}", hints.project("update", &[])));
    } else if run.is_some_and(RunError::keeps_files)
        && let Some(command) = hints.image("shell", &[&step.component, "--failed"])
    {
        status(&format!("next: {command}"));
    }
}

/// The last lines of a log; nothing when it cannot be read.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
    shown.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
