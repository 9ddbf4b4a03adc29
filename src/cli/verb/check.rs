//! `brc check`: the gates that need no build.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        json::Event,
        output::{print_event, status},
    },
    compose::{ComposeError, SetGoal, older},
    content::counted,
    recipe::{Diagnostic, Name},
};

/// Checks recipes, and with `--locked` what the lock says of them.
pub fn run(context: &Context, arguments: &arguments::Check) -> Result<ExitCode, CliError> {
    let project = context.project(arguments.target.file.as_deref(), &SetGoal::AsLocked)?;
    let choice = &arguments.target.choice;
    let variants: Vec<Name> = match &choice.variant {
        Some(named) => vec![project.variant(Some(named))?],
        None => project.variants(),
    };
    let mut diagnostics = Vec::new();
    let mut pruned = Vec::new();
    let mut unsaid = None;
    for variant in &variants {
        // What is wrong on another machine is wrong here.
        let architectures = match choice.arch.as_slice() {
            [] => project.stated_architectures(variant),
            named => project.architectures(variant, named)?,
        };
        let flats = match project.flats(variant, &architectures) {
            Ok(flats) => flats,
            Err(ComposeError::Recipes { diagnostics: found, .. }) => {
                diagnostics.extend(found.into_iter().filter(|found| !project.is_due_later(variant, found)));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // What two variants share is wrong once.
        let found = mistakes(project.elsewhere(&flats))?.into_iter();
        let new: Vec<_> = found.filter(|found| !diagnostics.contains(found)).collect();
        diagnostics.extend(new);
        for flat in &flats {
            for reasoned in flat.components.iter().flat_map(|component| &component.without) {
                let names = reasoned.packages.iter().map(|package| package.value.as_str());
                pruned.push((names.collect::<Vec<_>>().join(", "), reasoned.reason.value.clone()));
            }
        }
        if arguments.locked {
            let lock = project.lock()?;
            let wanted = project.wanted(&flats)?;
            let missing = lock.missing(&wanted);
            if !missing.is_empty() {
                let missing = missing.iter().map(ToString::to_string).collect();
                return Err(ComposeError::Unlocked { missing }.into());
            }
            unsaid = unsaid.or_else(|| older(&lock, &wanted));
            diagnostics.extend(project.objections(&flats, &lock));
            for flat in &flats {
                let found = mistakes(project.pin(flat, &lock))?.into_iter();
                let new: Vec<_> = found.filter(|found| !diagnostics.contains(found)).collect();
                diagnostics.extend(new);
            }
        }
    }
    if !diagnostics.is_empty() {
        return Err(project.refused(diagnostics).into());
    }
    unsaid.iter().for_each(|line| status(line));
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

/// The mistakes in recipes that something failed for; other failures end the check.
fn mistakes<T>(tried: Result<T, ComposeError>) -> Result<Vec<Diagnostic>, CliError> {
    match tried {
        Ok(_) => Ok(Vec::new()),
        Err(ComposeError::Recipes { diagnostics, .. }) => Ok(diagnostics),
        Err(error) => Err(error.into()),
    }
}
