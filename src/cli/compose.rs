//! `brc compose` and `brc build`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    CliError, arguments,
    context::Context,
    json::Event,
    output::{print, print_event, say},
    progress::bytes,
};
use crate::{
    build::{AfterFailure, Known},
    compose::{Composed, Locked, Project, Session, SetPins, copy_out, gone},
    content::{RelPath, counted},
    lock::{Goal, Gone},
    plan::{Lowered, Source},
};

/// Composes images, once more with newer files when the archive dropped some and `--relock` allows it.
pub fn run(context: &Context, arguments: &arguments::Compose) -> Result<ExitCode, CliError> {
    let (project, mut order) = context.order(&arguments.target)?;
    if let Some(version) = &arguments.image_version {
        check_version(version)?;
        order.image_version = Some(version.clone());
    }
    // All that is gone must be known at once, and a build that stopped itself cannot be gone on with.
    let keep_going = arguments.keep_going || arguments.relock;
    let after = if keep_going { AfterFailure::KeepGoing } else { AfterFailure::Stop };
    let session = context.session(context.store()?, after)?;
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
    if context.json {
        print_event(Event::Composed {
            image: image.title.clone(),
            disk: image.disk.display().to_string(),
            manifest: image.manifest.display().to_string(),
            root_bytes: image.root_bytes,
        });
    } else {
        say(&format!("{}: root {}", image.title, bytes(image.root_bytes)));
        print(&image.disk.display().to_string());
    }
}

/// Moves just what no mirror has any more, loudly.
fn relock(session: &Session<'_>, project: &Project, gone: Gone) -> Result<(), CliError> {
    say("warning: the lock names files that no mirror has any more; moving just these forward (--relock):");
    let (flats, lock) = (project.all_flats()?, project.lock()?);
    let (lock, report) = session.make_lock(project, &flats, &lock, Goal::Relock(gone), SetPins::Missing)?;
    report.changes.iter().for_each(|change| say(&format!("warning:   {}", super::lock::change_text(change))));
    project.write_lock(&lock)?;
    Ok(())
}

/// Builds one component for each architecture and says where its outputs lie.
pub fn build(context: &Context, arguments: &arguments::Build) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let (project, order) = context.order_of(&target, &component)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::Completed)?;
    let mut lowered = session.lower(&project, &images)?;
    lowered.plan.goals = super::explain::goals_of(&lowered.plan, &component)?;
    session.build_recorded(&project, &order, &format!("build {component}"), &lowered)?;
    for image in &images {
        let mut lowered = session.lower(&project, std::slice::from_ref(image))?;
        lowered.plan.goals = super::explain::goals_of(&lowered.plan, &component)?;
        let several = images.len() > 1;
        let below = |out: &PathBuf| if several { out.join(image.architecture.name()) } else { out.clone() };
        let out = arguments.out.as_ref().map(below);
        show_outputs(context, &session, &lowered, out.as_deref())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where the outputs of a plan's goals lie. With a folder, they are copied there: each below its stage and its
/// name where there are several.
fn show_outputs(
    context: &Context,
    session: &Session<'_>,
    lowered: &Lowered,
    out: Option<&Path>,
) -> Result<(), CliError> {
    let known = session.look(lowered)?;
    for (_, source) in &lowered.plan.goals {
        let Source::Output { step, .. } = source else { continue };
        let (Some(step), Some(Known::Done(_, _, outcome))) = (lowered.plan.steps.get(step.0), known.get(step.0)) else {
            continue;
        };
        let name = format!("{} {}", step.component, step.stage);
        for (output, digest) in outcome {
            let place = match out {
                Some(folder) => {
                    let stage = (lowered.plan.goals.len() > 1).then_some(step.stage.as_str());
                    let output = (outcome.len() > 1).then_some(output.as_str());
                    let folder = stage.into_iter().chain(output).fold(folder.to_owned(), |at, name| at.join(name));
                    copy_out(&session.store, *digest, &folder)?;
                    folder
                }
                None => session.store.checkout(&[(RelPath::ROOT, *digest)])?.path().to_owned(),
            };
            let tree = session.store.tree(*digest)?;
            let (entries, size) = (tree.len(), tree.file_bytes());
            if context.json {
                print_event(Event::Built {
                    step: name.clone(),
                    output: output.clone(),
                    digest: digest.to_string(),
                    entries,
                    bytes: size,
                    path: place.display().to_string(),
                });
            } else {
                say(&format!("{name}, {output}: {}, {}", counted(entries, "entry"), bytes(size)));
                print(&place.display().to_string());
            }
        }
    }
    Ok(())
}
