//! `brc compose`: recipes to images.

use std::process::ExitCode;

use crate::{
    build::AfterFailure,
    cli::{
        CliError, arguments,
        context::Context,
        json::Event,
        output::{print, print_event, status},
        pins::change_text,
    },
    compose::{Composed, Locked, Project, Session, SetPins, gone},
    content::bytes,
    lock::{Goal, Gone},
};

/// Composes images, once more with newer files when the archive dropped some and `--relock` allows it.
pub fn run(context: &Context, arguments: &arguments::Compose) -> Result<ExitCode, CliError> {
    let (project, mut order) = context.order(&arguments.target, Locked::Completed)?;
    if let Some(version) = &arguments.image_version {
        check_version(version)?;
        order.image_version = Some(version.clone());
    }
    // All that is gone must be known at once, and a build that stopped itself cannot be gone on with.
    let keep_going = arguments.keep_going || arguments.relock;
    let after = if keep_going { AfterFailure::KeepGoing } else { AfterFailure::Stop };
    let session = context.session(&project, after)?;
    let first = session.compose(&project, &order, &arguments.out);
    let composed = match first {
        Err(error) if arguments.relock => {
            let gone = gone(&project.lock()?, &error);
            if gone.is_empty() {
                return Err(error.into());
            }
            relock(&session, &project, gone)?;
            session.compose(&project, &order, &arguments.out)?
        }
        first => first?,
    };
    composed.iter().for_each(|image| show(context, image));
    Ok(ExitCode::SUCCESS)
}

/// Holds a version from the command line to what recipes are held to.
fn check_version(version: &str) -> Result<(), CliError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '~' | '^');
    if version.is_empty() || version.len() > 16 || !version.chars().all(plain) {
        let message = format!("`{version}` cannot be a version: expected 1 to 16 of 0-9, A-Z, a-z, `.`, `~`, `^`");
        return Err(CliError::Usage(message));
    }
    Ok(())
}

fn show(context: &Context, image: &Composed) {
    let files = image.artifacts.values().chain(&image.data_disk);
    if context.is_json() {
        print_event(Event::Composed {
            image: image.title.clone(),
            disk: image.disk.display().to_string(),
            manifest: image.manifest.display().to_string(),
            artifacts: files.map(|path| path.display().to_string()).collect(),
            root_bytes: image.root_bytes,
        });
    } else {
        status(&format!("{}: root {}", image.title, bytes(image.root_bytes)));
        files.for_each(|path| print(&path.display().to_string()));
    }
}

/// Moves just what no mirror has any more, loudly.
fn relock(session: &Session<'_>, project: &Project, gone: Gone) -> Result<(), CliError> {
    status("warning: the lock names files that no mirror has any more; moving just these forward (--relock):");
    let (flats, lock) = (project.all_flats()?, project.lock()?);
    let (lock, report) = session.make_lock(project, &flats, &lock, Goal::Relock(gone), SetPins::Missing)?;
    report.changes.iter().for_each(|change| status(&format!("warning:   {}", change_text(change))));
    project.write_lock(&lock)?;
    Ok(())
}
