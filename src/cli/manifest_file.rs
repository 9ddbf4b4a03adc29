//! The manifest of an image that a command line names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use brc_contract::error_chain;

use super::{CliError, image_file};
use crate::{
    artifact::{MANIFEST_ENDING, Manifest, ManifestError},
    compose::ComposeError,
};

/// Where compose writes the manifest of this image.
pub fn beside(image: &Path) -> Option<PathBuf> {
    image_file::beside(image, MANIFEST_ENDING)
}

/// Reads a manifest.
///
/// # Errors
/// No file, or one that is no manifest.
pub fn read_manifest(path: &Path) -> Result<Manifest, CliError> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(CliError::Usage(format!("there is no manifest `{}`: expected a file", path.display())));
    }
    let bytes = fs::read(path).map_err(|source| ComposeError::Read { path: path.to_owned(), source })?;
    Manifest::parse(&bytes).map_err(|error| no_manifest(path, &error))
}

/// A file that is no manifest.
pub fn no_manifest(path: &Path, error: &ManifestError) -> CliError {
    CliError::Usage(format!("`{}` is no manifest: {}", path.display(), error_chain(error)))
}
