//! What is locked moves: for `brc lock`, `brc update` and `brc outdated`.

use std::{path::Path, process::ExitCode};

use super::{
    CliError,
    context::Context,
    json::Event,
    output::{print, print_event, status},
};
use crate::{
    build::AfterFailure,
    compose::{SetGoal, SetPins},
    lock::{Goal, LockChange, Report},
};

/// Whether the new lock is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is.
    Yes,
    /// It is only looked at.
    No,
}

/// Locks a project for a goal and shows every version that moves.
///
/// # Errors
/// Mistakes in recipes, or what cannot be locked.
pub fn move_pins(
    context: &Context,
    file: Option<&Path>,
    goal: Goal,
    pins: SetPins,
    written: Written,
) -> Result<ExitCode, CliError> {
    let sets = match &goal {
        Goal::Update(names) => SetGoal::Newest(names.clone()),
        Goal::Complete | Goal::Relock(_) => SetGoal::Complete,
    };
    let project = context.project(file, &sets)?;
    let flats = project.all_flats()?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let (lock, report) = session.make_lock(&project, &flats, &project.lock()?, goal, pins)?;
    show(context, &report);
    if written == Written::Yes {
        project.write_lock(&lock)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, report: &Report) {
    for change in &report.changes {
        if context.is_json() {
            print_event(Event::Change {
                package: change.name.clone(),
                architecture: change.architecture.to_string(),
                from: change.from.clone(),
                to: change.to.clone(),
            });
        } else {
            print(&change_text(change));
        }
    }
    report.warnings.iter().for_each(|warning| status(&format!("warning: {warning}")));
}

/// A change as people read it: `runc amd64 1.1.14-1 -> 1.1.15-2`.
pub fn change_text(change: &LockChange) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{} {} {} -> {}", change.name, change.architecture, version(&change.from), version(&change.to))
}
