//! What stands in an image that is taken as it is: the kernel's command line, and the parts of an update.

use std::{fs::File, io, ops::Range, path::Path};

use brc_contract::{Architecture, Guid, ImageName, partition};

use super::{
    Expected, Inspection, VerifyError,
    esp::Esp,
    table::{self, Table},
};
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
    looked_into(image, |inspection, table, architecture, found| {
        let [esp, hash, root, ..] = table.partitions.as_slice() else { return Ok(None) };
        let mut block = [0; BLOCK_BYTES];
        extent::read(inspection.image, &mut block, hash.start)?;
        let Ok(Superblock { data_blocks, .. }) = Superblock::decode(&block) else { return Ok(None) };
        let (Some(kernel), Some(boot)) = (found.kernel, found.boot) else { return Ok(None) };
        let kernel_image = inspection.read_file(esp, &found.files, kernel.as_str())?;
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
    })
}

/// The words of the command line of the kernel image in a file; none when it is no image of brc.
///
/// # Errors
/// The file cannot be opened or read.
pub fn command_line(image: &Path) -> Result<Vec<String>, VerifyError> {
    let words = looked_into(image, |_, _, _, esp| Ok(esp.boot.map(|boot| boot.words)))?;
    Ok(words.unwrap_or_default())
}

/// Hands what is on the ESP of an image to `look`; `None` for what has no partitions of brc or no ESP that can be read.
pub(super) fn looked_into<T>(
    image: &Path,
    look: impl FnOnce(&mut Inspection<'_>, &Table, Architecture, Esp) -> io::Result<Option<T>>,
) -> Result<Option<T>, VerifyError> {
    let failed = |source| VerifyError { path: image.display().to_string(), source };
    let file = File::open(image).map_err(failed)?;
    let expected = Expected::default();
    let mut inspection = Inspection::new(&file, &expected);
    let size = extent::size(&file).map_err(failed)?;
    let table = table::read(&file, size, &mut inspection.findings).map_err(failed)?;
    let Some(table) = table else { return Ok(None) };
    let Some(architecture) = table::architecture(&table.partitions) else { return Ok(None) };
    let Some(esp) = inspection.esp(&table.partitions[0], architecture).map_err(failed)? else { return Ok(None) };
    look(&mut inspection, &table, architecture, esp).map_err(failed)
}
