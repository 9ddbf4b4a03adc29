//! `brc test`: what becomes of an image in a machine, step by step.

mod bench;
mod power;
mod story;

use std::process::ExitCode;

use bench::{Bench, Failed};

use crate::cli::{
    CliError,
    arguments::{Breakage, Test, TestVerb},
    context::Context,
    json::Event,
    output::{print_event, status},
};

/// The exit code of what did not go as it should.
const FAILED: u8 = 1;
/// The exit code of what was stopped by Ctrl-C, as shells have it.
const STOPPED: u8 = 130;

/// Tries it.
pub fn run(context: &Context, arguments: &Test) -> Result<ExitCode, CliError> {
    let (first, place) = match &arguments.verb {
        TestVerb::Boot { image, place } => (image, place),
        TestVerb::Update { old, place, .. } | TestVerb::Rollback { old, place, .. } => (old, place),
    };
    let bench = Bench::new(context, first, place)?;
    let ended = match &arguments.verb {
        TestVerb::Boot { .. } => bench.run(None, &[], story::boot)?,
        TestVerb::Update { new, .. } => {
            let update = story::Update::new(bench.folder(), new, None)?;
            bench.run(Some(update.port()), &update.credentials(), |look| update.taken(look))?
        }
        TestVerb::Rollback { new, breakage, .. } => {
            let bench = if *breakage == Breakage::Hang { bench.watched() } else { bench };
            let update = story::Update::new(bench.folder(), new, Some(*breakage))?;
            let run = |story: &dyn Fn(&bench::Look<'_>) -> Result<(), Failed>| {
                bench.run(Some(update.port()), &update.credentials(), story)
            };
            match *breakage {
                Breakage::PowerCut { cuts } => power::cut(&update, cuts, &run)?,
                breakage => run(&|look| update.broken(look, breakage))?,
            }
        }
    };
    Ok(report(context, ended))
}

/// Says how it ended; the exit code for it.
fn report(context: &Context, ended: Result<(), (Failed, Vec<String>)>) -> ExitCode {
    let (message, last, code) = match ended {
        Ok(()) => (None, Vec::new(), ExitCode::SUCCESS),
        Err((Failed::Cancelled, _)) => return ExitCode::from(STOPPED),
        Err((Failed::Not(message), last)) => (Some(message), last, ExitCode::from(FAILED)),
    };
    if context.is_json() {
        print_event(Event::TestEnded { failure: message, last });
        return code;
    }
    match message {
        None => status("good"),
        Some(message) => {
            status(&format!("error: {message}; the machine's last lines:"));
            last.iter().for_each(|line| status(&format!("  {line}")));
        }
    }
    code
}
