//! `brc test`: what becomes of an image in a machine, step by step.

mod ami;
mod bench;
mod power;
mod report;
mod story;

use std::process::ExitCode;

use bench::{Bench, Failed};
use report::report;

use crate::cli::{
    CliError,
    arguments::{Breakage, Test, TestVerb},
    context::Context,
};

/// Tries it.
pub fn run(context: &Context, arguments: &Test) -> Result<ExitCode, CliError> {
    let (first, place) = match &arguments.verb {
        TestVerb::Ami(arguments) => return ami::run(context, arguments),
        TestVerb::Boot { image, place } => (image, place),
        TestVerb::Update { old, place, .. } | TestVerb::Rollback { old, place, .. } => (old, place),
    };
    let bench = Bench::new(context, first, place)?;
    let ended = match &arguments.verb {
        TestVerb::Boot { .. } | TestVerb::Ami(_) => bench.run(None, &[], story::boot)?,
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
