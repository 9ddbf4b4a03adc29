//! What an image has in it: partitions, what starts it, texts of its root, and how much of the image each file takes.

use std::{collections::BTreeMap, fs::File, io, path::Path};

use brc_contract::{Architecture, ImageName, SlotName, partition, well_known};

use super::{
    Inspection, VerifyError,
    erofs::{FileSystem, Stretch},
    esp::Esp,
    parts::looked_into,
    table::Table,
};
use crate::{
    content::{RelPath, Sha256},
    image::{
        boot_record::BootRecord,
        extent,
        pe::PeFile,
        verity::{BLOCK_BYTES, Superblock},
    },
    plan::layout::{BLOCK, hash_file_size},
};

/// The texts of the root that are read, where they are there.
const TEXTS: [&str; 6] = [
    PASSWD,
    GROUP,
    well_known::IMAGE_SETTINGS,
    well_known::BOOT_RECORD,
    well_known::DATA_DISK,
    well_known::DATA_IMAGES,
];
/// The users of an image.
pub const PASSWD: &str = "etc/passwd";
/// Its groups.
pub const GROUP: &str = "etc/group";
/// Where the modules of a kernel lie.
const MODULES: &str = "usr/lib/modules";
/// What names those that are built into it, below the folder of its release.
const BUILT_IN: &str = "modules.builtin";
/// All texts together have no more bytes than this; what is over it is not read.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// What an image has in it. It is read as it stands there; whether it is right only [`verify`](super::verify) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The image's name.
    pub name: ImageName,
    /// Its architecture.
    pub architecture: Architecture,
    /// The root hash that its partitions speak of.
    pub root_hash: Sha256,
    /// The size of the disk.
    pub image_bytes: u64,
    /// Its partitions, in the order of the table.
    pub partitions: Vec<Occupied>,
    /// What the kernel image is.
    pub kernel_image: KernelImage,
    /// What the root says of the files that start it; an older brc made none.
    pub boot_record: Option<BootRecord>,
    /// Bytes of the image that each file of the root takes, as it is compressed, in whole blocks.
    pub stored: BTreeMap<RelPath, u64>,
    /// Texts of the root by their paths: users, groups, settings.
    pub texts: BTreeMap<&'static str, String>,
    /// The modules that are built into the kernel, by their names; none where that is not said.
    pub built_in: Vec<String>,
}

/// A partition, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied {
    /// What it is for: `ESP`, `root A`, `hash tree B`.
    pub what: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many of them are used.
    pub used: u64,
}

/// A unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelImage {
    /// The kernel's release: `6.12.41`.
    pub release: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Sha256,
    /// The words of its command line.
    pub words: Vec<String>,
    /// The bytes of each of its sections, by name.
    pub sections: BTreeMap<String, u64>,
}

/// Reads what an image has in it; `None` for what brc does not write.
///
/// # Errors
/// The file cannot be opened or read.
pub fn contents(image: &Path) -> Result<Option<Contents>, VerifyError> {
    looked_into(image, read)
}

fn read(
    inspection: &mut Inspection<'_>,
    table: &Table,
    architecture: Architecture,
    found: Esp,
) -> io::Result<Option<Contents>> {
    let [esp, hash, root, ..] = table.partitions.as_slice() else { return Ok(None) };
    let mut block = [0; BLOCK_BYTES];
    extent::read(inspection.image, &mut block, hash.start)?;
    let Ok(Superblock { data_blocks, .. }) = Superblock::decode(&block) else { return Ok(None) };
    let (Some(path), Some(boot)) = (&found.kernel, &found.boot) else { return Ok(None) };
    let Some(bytes) = inspection.read_file(esp, &found.files, path.as_str())? else { return Ok(None) };
    let Some(kernel_image) = kernel_image(bytes, &boot.words) else { return Ok(None) };
    let root_bytes = data_blocks.saturating_mul(BLOCK).min(root.size());
    let used = [found.files.values().map(|(_, size)| *size).sum(), hash_file_size(root_bytes), root_bytes];
    let Some(inside) = Inside::read(inspection.image, root.start, root_bytes) else { return Ok(None) };
    let boot_record = inside.texts.get(well_known::BOOT_RECORD);
    Ok(Some(Contents {
        name: boot.image.clone(),
        architecture,
        root_hash: Sha256::from_bytes(partition::root_hash_of(root.guid, hash.guid)),
        image_bytes: extent::size(inspection.image)?,
        partitions: occupied(table, used),
        kernel_image,
        boot_record: boot_record.and_then(|text| BootRecord::parse(text.as_bytes()).ok()),
        stored: inside.stored,
        texts: inside.texts,
        built_in: inside.built_in,
    }))
}

fn kernel_image(bytes: Vec<u8>, words: &[String]) -> Option<KernelImage> {
    let (size, sha256) = (bytes.len() as u64, Sha256::of(&bytes));
    let file = PeFile::parse(bytes).ok()?;
    let release = String::from_utf8_lossy(file.section(".uname")?).trim_matches(['\0', '\n']).to_owned();
    let bytes_of = |name: &str| file.section(name).map_or(0, |bytes| bytes.len() as u64);
    let sections = file.sections().iter().map(|section| (section.name.clone(), bytes_of(&section.name))).collect();
    Some(KernelImage { release, bytes: size, sha256, words: words.to_vec(), sections })
}

/// The partitions by what they are for; of the first three it is known how much is used, the others are empty slots.
fn occupied(table: &Table, used: [u64; 3]) -> Vec<Occupied> {
    let name = |index: usize| match index.checked_sub(1) {
        None => "ESP".to_owned(),
        Some(index) => {
            let slot = [SlotName::A, SlotName::B].get(index / 2).map_or("of no slot", |slot| slot.name());
            format!("{} {slot}", if index.is_multiple_of(2) { "hash tree" } else { "root" })
        }
    };
    let partitions = table.partitions.iter().enumerate();
    partitions
        .map(|(index, partition)| Occupied {
            what: name(index),
            bytes: partition.size(),
            used: used.get(index).copied().unwrap_or(0),
        })
        .collect()
}

/// What is inside the root.
struct Inside {
    stored: BTreeMap<RelPath, u64>,
    texts: BTreeMap<&'static str, String>,
    built_in: Vec<String>,
}

impl Inside {
    /// Reads a root file system; `None` when it cannot be.
    fn read(image: &File, start: u64, size: u64) -> Option<Self> {
        let file_system = FileSystem::open(Stretch { file: image, start, size }).ok()?;
        let mut room = MAX_TEXT_BYTES;
        let mut inside = Inside { stored: BTreeMap::new(), texts: BTreeMap::new(), built_in: Vec::new() };
        for (path, inode) in file_system.inodes.iter().filter(|(_, inode)| inode.is_file()) {
            inside.stored.insert(path.clone(), file_system.stored_bytes(*inode).ok()?);
            let name = TEXTS.into_iter().find(|name| path.as_str() == *name);
            let is_built_in = path.name() == BUILT_IN && path.as_str().starts_with(MODULES);
            if (name.is_none() && !is_built_in) || inode.data_size() > room {
                continue;
            }
            room -= inode.data_size();
            let mut bytes = Vec::new();
            file_system.read(*inode, |piece| bytes.extend_from_slice(piece)).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match name {
                Some(name) => drop(inside.texts.insert(name, text)),
                None => inside.built_in.extend(text.lines().map(module_name)),
            }
        }
        inside.built_in.sort();
        Some(inside)
    }
}

/// `kernel/fs/ext4/ext4.ko.xz` is the module `ext4`.
pub fn module_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split_once(".ko").map_or(name, |(name, _)| name).replace('-', "_")
}
