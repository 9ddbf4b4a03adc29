//! Errors as people and programs see them, and the exit code of each.

use std::{
    error::Error,
    fs::File,
    io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, stderr},
    path::Path,
    process::ExitCode,
};

use miette::{GraphicalReportHandler, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::{
    context::Context,
    json::{self, Event},
    output::{print_event, printable, printable_in_place, say, say_drawn, say_log},
};
use crate::{
    build::{BuildError, StepFailure},
    compose::ComposeError,
    content::counted,
    fetch::FetchError,
    lock::LockError,
    plan::{Fault, NoStepOf},
    recipe::{Diagnostic, Severity, SourceSet, line_and_column, one_line},
    sandbox::RunError,
    store::StoreError,
};

/// How many lines of a failed action's log are shown.
const TAIL_LINES: usize = 20;
/// How many bytes of a log are looked at for them.
const TAIL_BYTES: u64 = 32 << 10;

/// A command did not succeed.
#[derive(Debug)]
pub enum CliError {
    /// A stage of composing failed.
    Compose(ComposeError),
    /// The command line asks for what makes no sense.
    Usage(String),
    /// What was looked at is not right.
    Found(String),
    /// This machine cannot.
    Machine(Box<dyn Error + Send + Sync>),
    /// We are wrong ourselves.
    Bug(String),
    /// The outside refused.
    Outside(Box<dyn Error + Send + Sync>),
}

impl From<ComposeError> for CliError {
    fn from(error: ComposeError) -> Self {
        CliError::Compose(error)
    }
}

impl From<NoStepOf> for CliError {
    fn from(error: NoStepOf) -> Self {
        CliError::Usage(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        CliError::Compose(ComposeError::Store(error))
    }
}

/// Shows an error and gives its exit code.
pub fn complain(context: &Context, error: &CliError) -> ExitCode {
    let code = exit_code(error);
    match error {
        CliError::Compose(ComposeError::Recipes { sources, diagnostics }) => show_all(context, sources, diagnostics),
        CliError::Compose(ComposeError::Build(BuildError::Steps { failures, skipped })) => {
            failures.iter().for_each(|failure| step_failed(context, failure));
            if *skipped > failures.len() {
                say(&format!("not tried: {}", counted(skipped - failures.len(), "more action")));
            }
        }
        CliError::Compose(error) => {
            chain(context, error);
            if let ComposeError::Unlocked { .. } = error
                && !context.json
            {
                say(&format!("next: {}", context.project_command("lock", &[])));
            }
        }
        CliError::Usage(message) | CliError::Found(message) => {
            message_only(context, message);
        }
        CliError::Bug(message) => message_only(context, &format!("{message}: this is a bug in brc, please report it")),
        CliError::Machine(error) | CliError::Outside(error) => chain(context, error.as_ref()),
    }
    ExitCode::from(code)
}

/// 1 the build failed, 2 recipe or command line, 3 this machine, 4 the outside, 70 our bug.
fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Usage(_) => 2,
        CliError::Found(_) => 1,
        CliError::Bug(_) => 70,
        CliError::Machine(_) => 3,
        CliError::Outside(_) => 4,
        CliError::Compose(error) => match error {
            ComposeError::Recipes { .. }
            | ComposeError::Endless { .. }
            | ComposeError::TooManyFiles { .. }
            | ComposeError::TrackedLocal { .. }
            | ComposeError::NoProject { .. }
            | ComposeError::NoVariant { .. }
            | ComposeError::NoVariantInFile { .. }
            | ComposeError::SeveralVariants { .. }
            | ComposeError::NoArchitecture { .. }
            | ComposeError::NoComponent { .. }
            | ComposeError::NoPart { .. }
            | ComposeError::SeveralParts { .. }
            | ComposeError::NothingBuilt { .. }
            | ComposeError::NotBuilt { .. }
            | ComposeError::NoTool { .. }
            | ComposeError::NotIncluded { .. }
            | ComposeError::BadLock { .. }
            | ComposeError::NoSetLock
            | ComposeError::Unlocked { .. }
            | ComposeError::SigningKey { .. }
            | ComposeError::Certificate { .. }
            | ComposeError::Lower(_) => 2,
            ComposeError::Read { .. } => 2,
            ComposeError::Write { .. } => 3,
            ComposeError::Lock(error) => match error {
                LockError::Unmet(_) => 2,
                LockError::Archive(_) => 4,
                LockError::OutOfTurn { .. } => 70,
            },
            ComposeError::Fetch(error) => fault_code(error.fault()),
            ComposeError::Store(error) => fault_code(error.fault()),
            ComposeError::NotAsStated { .. } | ComposeError::EndlessLink { .. } => 1,
            ComposeError::NoGoal { .. } => 70,
            ComposeError::Build(error) => match error {
                BuildError::Steps { failures, .. } => {
                    failures.iter().map(|failure| fault_code(failure.failure.fault)).max().unwrap_or(1)
                }
                BuildError::Cancelled => 130,
                BuildError::Store(error) => fault_code(error.fault()),
                BuildError::JobServer(_) => 3,
            },
        },
    }
}

const fn fault_code(fault: Fault) -> u8 {
    match fault {
        Fault::Build | Fault::Damaged => 1,
        Fault::Machine => 3,
        Fault::Outside => 4,
        Fault::Cancelled => 130,
    }
}

/// Shows all findings in recipes: drawn on a terminal, one line each elsewhere.
pub fn show_all(context: &Context, sources: &SourceSet, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        if context.json {
            let span = diagnostic.span();
            let (line, column) = span.map_or((0, 0), |span| line_and_column(sources, span));
            let file = span.map(|span| sources.path(span.file).to_string());
            let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
            print_event(Event::Diagnostic {
                severity: severity.to_owned(),
                code: diagnostic.code.to_string(),
                file,
                line,
                column,
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
            });
        } else if stderr().is_terminal() {
            draw(sources, diagnostic);
        } else {
            say(&one_line(sources, diagnostic));
        }
    }
}

fn draw(sources: &SourceSet, diagnostic: &Diagnostic) {
    let Some(first) = diagnostic.span() else { return say(&one_line(sources, diagnostic)) };
    let mut shown = MietteDiagnostic::new(printable(&diagnostic.message)).with_code(diagnostic.code);
    if diagnostic.severity == Severity::Warning {
        shown = shown.with_severity(miette::Severity::Warning);
    }
    if let Some(help) = &diagnostic.help {
        shown = shown.with_help(printable(help));
    }
    // Places in other files are told as lines below.
    let (here, elsewhere): (Vec<_>, Vec<_>) = diagnostic.labels.iter().partition(|label| label.span.file == first.file);
    for label in here {
        let range = label.span.start as usize..label.span.end as usize;
        let text = Some(printable(&label.text).into_owned()).filter(|text| !text.is_empty());
        shown = shown.and_label(LabeledSpan::new_with_span(text, range));
    }
    let path = sources.path(first.file).to_string();
    let source = NamedSource::new(printable(&path), printable_in_place(sources.text(first.file)));
    let report = Report::new(shown).with_source_code(source);
    let mut text = String::new();
    match GraphicalReportHandler::new().render_report(&mut text, report.as_ref()) {
        Ok(()) => say_drawn(text.trim_end()),
        Err(_) => say(&one_line(sources, diagnostic)),
    }
    for label in elsewhere {
        let (line, column) = line_and_column(sources, label.span);
        say(&format!("  {}:{line}:{column}: {}", sources.path(label.span.file), label.text));
    }
}

fn step_failed(context: &Context, failed: &StepFailure) {
    let step = &failed.step;
    if context.json {
        print_event(Event::Failure {
            action: json::Action::from(step),
            error: chain_text(failed.failure.error.as_ref()),
            log: failed.log.display().to_string(),
        });
        return;
    }
    // The chain may end in the last lines of a log, with its colours.
    say_log(&format!(
        "error: `{}` failed at `{}`: {}",
        step.component,
        step.stage,
        chain_text(failed.failure.error.as_ref())
    ));
    let error = failed.failure.error.as_ref();
    let of_fetch = || error.downcast_ref::<FetchError>().and_then(FetchError::way_out);
    let of_run = || error.downcast_ref::<RunError>().and_then(RunError::way_out);
    if let Some(way_out) = of_fetch().or_else(of_run) {
        say(&format!("help: {way_out}"));
    }
    let is_gone = error.downcast_ref::<FetchError>().and_then(FetchError::gone).is_some();
    // What fails while it is being locked is no action of an image yet, so no shell would find it.
    let run = failed.failure.error.downcast_ref::<RunError>();
    let tail = tail(&failed.log);
    // A command that failed tells its last lines itself.
    if run.is_none() && !tail.is_empty() {
        say("its last lines:");
        say_log(&tail);
        say(&format!("all of it: {}", failed.log.display()));
    }
    if is_gone {
        say(&format!("next: {}", context.project_command("update", &[])));
    } else if run.is_some_and(RunError::keeps_files)
        && let Some(command) = context.command("shell", &[&step.component, "--failed"])
    {
        say(&format!("next: {command}"));
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

fn chain(context: &Context, error: &(dyn Error + 'static)) {
    message_only(context, &chain_text(error));
}

fn message_only(context: &Context, message: &str) {
    if context.json {
        print_event(Event::Error { error: message.to_owned() });
    } else {
        say(&format!("error: {message}"));
    }
}

/// An error and all its sources, each told once.
pub fn chain_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = source.source();
    }
    text
}
