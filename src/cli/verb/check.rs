//! `brc check`: the gates that need no build.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        json::Event,
        output::{print_event, status},
    },
    {content::counted, recipe::Name},
};

/// Checks recipes, and with `--locked` what the lock says of them.
pub fn run(context: &Context, arguments: &arguments::Check) -> Result<ExitCode, CliError> {
    let project = context.project(arguments.target.file.as_deref())?;
    let choice = &arguments.target.choice;
    let variants: Vec<Name> = match &choice.variant {
        Some(named) => vec![project.variant(Some(named))?],
        None => project.variants(),
    };
    let mut diagnostics = Vec::new();
    let mut pruned = Vec::new();
    for variant in &variants {
        // What is wrong on another machine is wrong here.
        let architectures = match choice.arch.as_slice() {
            [] => project.stated_architectures(variant),
            named => project.architectures(variant, named)?,
        };
        let flats = match project.flats(variant, &architectures) {
            Ok(flats) => flats,
            Err(crate::compose::ComposeError::Recipes { diagnostics: found, .. }) => {
                diagnostics.extend(found.into_iter().filter(|found| !project.is_due_later(variant, found)));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for flat in &flats {
            for reasoned in flat.components.iter().flat_map(|component| &component.without) {
                let names = reasoned.packages.iter().map(|package| package.value.as_str());
                pruned.push((names.collect::<Vec<_>>().join(", "), reasoned.reason.value.clone()));
            }
        }
        if arguments.locked {
            let lock = project.lock()?;
            let missing = lock.missing(&project.wanted(&flats)?);
            if !missing.is_empty() {
                let missing = missing.iter().map(ToString::to_string).collect();
                return Err(crate::compose::ComposeError::Unlocked { missing }.into());
            }
            diagnostics.extend(project.objections(&flats, &lock));
            for flat in &flats {
                match project.pin(flat, &lock) {
                    Ok(_) => {}
                    Err(crate::compose::ComposeError::Recipes { diagnostics: found, .. }) => {
                        let new: Vec<_> = found.into_iter().filter(|found| !diagnostics.contains(found)).collect();
                        diagnostics.extend(new);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    if !diagnostics.is_empty() {
        return Err(project.refused(diagnostics).into());
    }
    pruned.sort();
    pruned.dedup();
    if context.is_json() {
        let not_followed = pruned.len();
        pruned.into_iter().for_each(|(packages, reason)| print_event(Event::Pruned { packages, reason }));
        print_event(Event::Checked {
            files: project.sources.len(),
            variants: variants.len(),
            components: project.components(),
            not_followed,
        });
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.verbose {
        pruned.iter().for_each(|(packages, reason)| status(&format!("not followed: {packages} ({reason})")));
    }
    status(&format!(
        "good: {}, {} and {} read",
        counted(project.sources.len(), "file"),
        counted(variants.len(), "variant"),
        counted(project.components(), "component")
    ));
    Ok(ExitCode::SUCCESS)
}
