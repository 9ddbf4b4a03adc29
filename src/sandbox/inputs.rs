//! A run's inputs: whether they fit, merged, and laid out.

use std::{fs, path::Path};

use super::RunError;
use crate::{
    content::{Digest, Layer, RelPath, Tree, merge},
    plan::{Output, Run},
    store::{Checkout, Store, StoreError},
};

/// Folders that the sandbox lays something of its own over.
const COVERED: [&str; 4] = ["dev", "proc", "run", "tmp"];

/// Refuses a run that asks for what it could not see or what nobody could take.
pub(super) fn check(run: &Run<Digest>) -> Result<(), RunError> {
    let outputs = run.outputs.values().map(|output| match output {
        Output::Folder(path) | Output::Changed(path) => path,
    });
    for path in outputs.chain(run.inputs.iter().map(|input| &input.at)) {
        if COVERED.contains(&path.as_str().split('/').next().unwrap_or_default()) {
            return Err(RunError::Covered { path: path.clone() });
        }
    }
    match run.command.first() {
        Some(program) if program.starts_with('/') => Ok(()),
        program => Err(RunError::NoProgram { program: program.cloned().unwrap_or_default() }),
    }
}

/// The inputs as one folder.
pub(super) fn lay_out(store: &Store, run: &Run<Digest>) -> Result<Checkout, RunError> {
    let layers: Vec<(RelPath, Digest)> = run.inputs.iter().map(|input| (input.at.clone(), input.tree)).collect();
    let checkout = match store.checkout(&layers) {
        // The store knows only digests; people know owners.
        Err(StoreError::Conflict { .. }) => return Err(merged(store, run).err().unwrap_or(RunError::Cancelled)),
        other => other?,
    };
    for output in run.outputs.values() {
        let (Output::Folder(path) | Output::Changed(path)) = output;
        if let Some(link) = link_above(checkout.path(), path) {
            return Err(RunError::ThroughLink { path: path.clone(), link });
        }
    }
    Ok(checkout)
}

/// The first part of `path` below `root` that is a symbolic link.
fn link_above(root: &Path, path: &RelPath) -> Option<RelPath> {
    let mut parts: Vec<RelPath> = path.ancestors().collect();
    parts.reverse();
    parts.push(path.clone());
    parts.into_iter().find(|part| fs::symlink_metadata(part.on(root)).is_ok_and(|found| found.is_symlink()))
}

/// The inputs as one tree.
pub(super) fn merged(store: &Store, run: &Run<Digest>) -> Result<Tree, RunError> {
    let mut trees = Vec::new();
    for input in &run.inputs {
        let moved = store.tree(input.tree)?.moved_to(&input.at).map_err(|source| StoreError::Layer { source })?;
        trees.push((input.owner.as_str(), moved));
    }
    let layers: Vec<Layer<'_>> = trees.iter().map(|(owner, tree)| Layer { owner, tree, replaces: &[] }).collect();
    let (tree, _) = merge(&layers).map_err(|conflicts| RunError::Conflict { conflicts })?;
    Ok(tree)
}
