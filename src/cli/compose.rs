//! `brc compose` and `brc build`.

use std::process::ExitCode;

use serde_json::json;

use super::{
    CliError, arguments,
    complain::{print, print_json, say},
    context::Context,
    progress::bytes,
};
use crate::{
    build::AfterFailure,
    compose::{ComposeError, Composed, Locked, Project, Session, gone_packages},
    lock::{Goal, PackageId},
    plan::Source,
};

/// Composes images, once more with newer files when the archive dropped some and `--relock` allows it.
pub fn run(context: &Context, arguments: &arguments::Compose) -> Result<ExitCode, CliError> {
    let (project, mut order) = context.order(&arguments.target)?;
    if let Some(version) = &arguments.image_version {
        check_version(version)?;
        order.image_version = Some(version.clone());
    }
    let after = if arguments.keep_going { AfterFailure::KeepGoing } else { AfterFailure::Stop };
    let session = context.session(context.store()?, after)?;
    let first = session.compose(&project, &order, &arguments.out);
    let composed = match first {
        Err(error) if arguments.relock => {
            let gone = gone_packages(&project.lock()?, &error);
            if gone.is_empty() {
                return Err(error.into());
            }
            relock(&session, &project, &order, gone)?;
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
        print_json(&json!({
            "event": "composed", "image": image.title, "disk": image.disk, "manifest": image.manifest,
            "root_bytes": image.root_bytes,
        }));
    } else {
        say(&format!("{}: root {}", image.title, bytes(image.root_bytes)));
        print(&image.disk.display().to_string());
    }
}

/// Moves just the packages that no mirror has any more, loudly.
fn relock(
    session: &Session<'_>,
    project: &Project,
    order: &crate::compose::Order,
    gone: std::collections::BTreeSet<PackageId>,
) -> Result<(), CliError> {
    say("warning: the lock names files that no mirror has any more; moving just these forward (--relock):");
    let flats = project.flats(&order.variant, &order.architectures)?;
    let (lock, report) = session.make_lock(project, &flats, project.lock()?, Goal::Relock(gone))?;
    report.changes.iter().for_each(|change| say(&format!("warning:   {}", super::lock::change_text(change))));
    project.write_lock(&lock)?;
    Ok(())
}

/// Builds one component.
pub fn build(context: &Context, arguments: &arguments::Build) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::Completed)?;
    let mut lowered = session.lower(&project, &images)?;
    let wanted = super::explain::steps_of(&lowered.plan, &arguments.component)?;
    // Every output of the component's last step is wanted; asking for one has all of them made.
    let goals = wanted.iter().filter_map(|id| {
        let step = lowered.plan.steps.get(id.0)?;
        let output = step.action.output_names().into_iter().next()?;
        Some((format!("{} {}", step.component, step.stage), Source::Output { step: *id, output }))
    });
    let goals: Vec<_> = goals.collect();
    lowered.plan.goals = goals;
    let built = session.build(&lowered)?;
    for (name, tree) in &built.goals {
        let tree = session.store.tree(*tree).map_err(ComposeError::Store)?;
        let (files, size) = (tree.len(), tree.file_bytes());
        if context.json {
            print_json(&json!({"event": "built", "step": name, "entries": files, "bytes": size}));
        } else {
            print(&format!("{name}: {files} entries, {}", bytes(size)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
