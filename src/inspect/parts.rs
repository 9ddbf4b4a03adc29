//! The parts of an image that an update consists of.

use std::{fs::File, ops::Range, path::Path};

use brc_contract::{Architecture, Guid, ImageName, partition};

use super::{Expected, Inspection, VerifyError, table};
use crate::{
    image::{
        extent,
        verity::{BLOCK_BYTES, RootHash, Superblock},
    },
    plan::{
        identity::Seed,
        layout::{BLOCK, hash_file_size},
    },
};

/// What an update of machines that run a variant needs of an image.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The image's name.
    pub name: ImageName,
    /// Its architecture.
    pub architecture: Architecture,
    /// The root hash.
    pub root_hash: RootHash,
    /// Where the root file system stands in the image, in bytes, without the rest of its partition.
    pub root: Range<u64>,
    /// Where the hash tree stands.
    pub hash: Range<u64>,
    /// The unified kernel image.
    pub kernel_image: Vec<u8>,
    /// The identities that the hash and root partition of each slot have while they hold nothing.
    pub empty_slots: [[Guid; 2]; 2],
}

/// Finds the parts of an image that [`verify`](super::verify) calls good; `None` for one that is not.
///
/// # Errors
/// The file cannot be opened or read.
pub fn parts(image: &Path) -> Result<Option<Parts>, VerifyError> {
    let failed = |source| VerifyError { path: image.display().to_string(), source };
    let file = File::open(image).map_err(failed)?;
    let expected = Expected::default();
    let mut inspection = Inspection::new(&file, &expected);
    let size = extent::size(&file).map_err(failed)?;
    let table = table::read(&file, size, &mut inspection.findings).map_err(failed)?;
    let Some(table) = table else { return Ok(None) };
    let (Some(architecture), [esp, hash, root, ..]) =
        (table::architecture(&table.partitions), table.partitions.as_slice())
    else {
        return Ok(None);
    };
    let mut block = [0; BLOCK_BYTES];
    extent::read(&file, &mut block, hash.start).map_err(failed)?;
    let Ok(Superblock { data_blocks, .. }) = Superblock::decode(&block) else { return Ok(None) };
    let Some(found) = inspection.esp(esp, architecture).map_err(failed)? else { return Ok(None) };
    let (Some(kernel), Some(boot)) = (found.kernel, found.boot) else { return Ok(None) };
    let kernel_image = inspection.read_file(esp, &found.files, kernel.as_str()).map_err(failed)?;
    let Some(kernel_image) = kernel_image else { return Ok(None) };
    let seed = Seed::of(&boot.image.variant, architecture);
    let kinds = [partition::root_verity(architecture), partition::root(architecture)];
    let root_bytes = data_blocks.saturating_mul(BLOCK);
    Ok(Some(Parts {
        name: boot.image,
        architecture,
        root_hash: partition::root_hash_of(root.guid, hash.guid),
        root: root.start..root.start.saturating_add(root_bytes),
        hash: hash.start..hash.start.saturating_add(hash_file_size(root_bytes)),
        kernel_image,
        empty_slots: [0, 1].map(|slot| kinds.map(|kind| seed.partition(kind, slot))),
    }))
}
