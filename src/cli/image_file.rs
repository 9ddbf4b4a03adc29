//! The image that a command line names.

use std::{
    fs,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use brc_contract::ImageName;

use super::CliError;
use crate::{artifact::DATA_DISK_ENDING, graph::Artifact};

/// Where compose writes what belongs to this image, by the ending of its name.
pub fn beside(image: &Path, ending: &str) -> Option<PathBuf> {
    (image.extension()? == Artifact::DISK.ending()).then(|| image.with_extension(ending))
}

/// Where compose writes the disk for data that comes with this image.
pub fn data_disk_beside(image: &Path) -> Option<PathBuf> {
    beside(image, DATA_DISK_ENDING)
}

/// Refuses what is no file before it is opened: to open a named pipe waits for its writer.
///
/// # Errors
/// Nothing there, or neither a file nor a block device.
pub fn must_be_image(path: &Path) -> Result<(), CliError> {
    let shown = path.display();
    let name = path.file_name().and_then(|name| name.to_str()).and_then(ImageName::of_file);
    if name.is_some_and(|(_, _, ending)| ending == DATA_DISK_ENDING) {
        let message = "is the disk for data that comes with an image: expected the image, which it lies beside";
        return Err(CliError::Usage(format!("`{shown}` {message}")));
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() || metadata.file_type().is_block_device() => Ok(()),
        Ok(_) => Err(CliError::Usage(format!("`{shown}` is no disk image: expected a file or a block device"))),
        Err(error) => Err(CliError::Usage(format!("the image `{shown}` cannot be read: {error}"))),
    }
}
