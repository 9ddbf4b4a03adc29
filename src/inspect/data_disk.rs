//! The disk that an image's data lies on, where that is another one than the system's.

use std::{fs::File, path::Path};

use brc_contract::{partition, well_known};

use super::{VerifyError, contents::contents, report::Findings, table};
use crate::image::{DataImage, extent};

/// What the root of an image says of the disk for its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDisk {
    /// How many bytes it has where nobody says more.
    pub bytes: u64,
    /// The archives with images of containers that come with it.
    pub images: Vec<DataImage>,
}

/// The disk for data of an image; `None` where data lies on the system's disk.
///
/// # Errors
/// The file cannot be opened or read.
pub fn data_disk(image: &Path) -> Result<Option<DataDisk>, VerifyError> {
    let Some(found) = contents(image)? else { return Ok(None) };
    let text = |name| found.texts.get(name).map(String::as_str);
    let bytes = text(well_known::DATA_DISK).and_then(|text| text.trim().parse().ok());
    let images = text(well_known::DATA_IMAGES).map(DataImage::list).unwrap_or_default();
    Ok(bytes.map(|bytes| DataDisk { bytes, images }))
}

/// What is wrong with the file of a disk that should hold these archives and no more.
///
/// # Errors
/// The file cannot be opened or read.
pub fn data_disk_mistake(disk: &Path, images: &[DataImage]) -> Result<Option<String>, VerifyError> {
    let failed = |source| VerifyError { path: disk.display().to_string(), source };
    let file = File::open(disk).map_err(failed)?;
    let size = extent::size(&file).map_err(failed)?;
    let mut findings = Findings::default();
    let Some(table) = table::read(&file, size, &mut findings).map_err(failed)? else {
        return Ok(Some("it has no table of partitions".to_owned()));
    };
    if table.partitions.len() != images.len() {
        return Ok(Some(format!("it has {} partitions, expected {}", table.partitions.len(), images.len())));
    }
    for (found, image) in table.partitions.iter().zip(images) {
        let is_it = found.kind == partition::CONTAINER_IMAGE
            && found.guid == image.partition()
            && found.size() >= image.size
            && extent::sha256(&file, found.start, image.size).map_err(failed)? == image.sha256;
        if !is_it {
            return Ok(Some(format!("it does not hold `{}` as the image names it", image.name)));
        }
    }
    Ok(None)
}
