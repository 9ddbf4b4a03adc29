//! `brc build`: one component without its image.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    build::{AfterFailure, Known},
    cli::{
        CliError, arguments,
        context::Context,
        json::Event,
        output::{print, print_event, status},
    },
    compose::{Locked, Session, copy_out},
    content::{RelPath, bytes, counted},
    plan::Lowered,
};

/// Builds one component for each architecture and says where its outputs lie.
pub fn run(context: &Context, arguments: &arguments::Build) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let (project, order) = context.order_of(&target, &component, Locked::Completed)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::Completed)?;
    let mut lowered = session.lower(&project, &images)?;
    lowered.plan.want_component(&component)?;
    session.build_recorded(&project, &order, &format!("build {component}"), &lowered)?;
    for image in &images {
        let mut lowered = session.lower(&project, std::slice::from_ref(image))?;
        lowered.plan.want_component(&component)?;
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
    for step in lowered.plan.goal_steps() {
        let (Some(step), Some(Known::Done(_, _, outcome))) = (lowered.plan.steps.get(step.0), known.get(step.0)) else {
            continue;
        };
        let name = step.title();
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
            if context.is_json() {
                print_event(Event::Built {
                    step: name.clone(),
                    output: output.clone(),
                    digest: digest.to_string(),
                    entries,
                    bytes: size,
                    path: place.display().to_string(),
                });
            } else {
                status(&format!("{name}, {output}: {}, {}", counted(entries, "entry"), bytes(size)));
                print(&place.display().to_string());
            }
        }
    }
    Ok(())
}
