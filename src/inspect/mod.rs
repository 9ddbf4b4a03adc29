//! Checks a finished image: whether all of its bytes are as brc writes them and agree with each other.
//!
//! *Takes* the file of a disk, and what is known of it from elsewhere: a root hash, a manifest. *Gives* a [`Report`].
//! *Promises*: what can follow from other bytes of the image is computed again and compared (tables, identities, hash
//! tree, file systems, slack), and what starts the root with what the root says of it, so that all of an image hangs
//! on its root hash; whether that is the right one only somebody outside can say, and a report names what was not
//! checked. An image is read as hostile, within limits, and never written. *Does not know* recipes.

mod boot;
mod contents;
mod data_disk;
mod erofs;
mod esp;
mod files;
mod hashes;
mod initramfs;
mod parts;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod vouched;

use std::{fs::File, io, path::Path};

use brc_contract::{Architecture, Guid, partition, well_known};

use crate::{
    content::{Sha256, Tree},
    image::{
        extent,
        uki::VerifiedRoot,
        verity::{BLOCK_BYTES, RootHash, Superblock},
    },
    plan::{
        identity::Seed,
        layout::{BLOCK, SECTOR},
    },
};
use boot::Boot;
pub use contents::{Contents, GROUP, KernelImage, Occupied, PASSWD, contents, module_name};
pub use data_disk::{DataDisk, data_disk, data_disk_mistake};
pub use parts::{Parts, command_line, parts};
use report::Findings;
pub use report::{Figures, Finding, Part, Report, Unchecked};
use table::{Partition, Table};

/// What is known of an image from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The dm-verity root hash, from somebody whom the caller trusts.
    pub root_hash: Option<Sha256>,
    /// What a manifest says.
    pub manifest: Option<FromManifest>,
}

/// What a manifest says of an image.
#[derive(Debug, Clone)]
pub struct FromManifest {
    /// The image's variant and version, as the name of its boot entry has them: `quickstart_0.1.0`.
    pub entry: String,
    /// The architecture by its name.
    pub architecture: String,
    /// The dm-verity root hash.
    pub root_hash: Sha256,
    /// The SHA-256 of the ESP.
    pub esp_sha256: Sha256,
    /// The root tree.
    pub root: Tree,
}

/// Checks the image in the file `image`.
///
/// # Errors
/// The file cannot be opened or read; whatever is wrong with what is read is a finding.
pub fn verify(image: &Path, expected: &Expected) -> Result<Report, VerifyError> {
    let failed = |source| VerifyError { path: image.display().to_string(), source };
    let file = File::open(image).map_err(failed)?;
    let mut inspection = Inspection::new(&file, expected);
    inspection.run().map_err(failed)?;
    let Inspection { findings, unchecked, figures, .. } = inspection;
    Ok(Report { findings: findings.sorted(), unchecked, figures })
}

/// The architecture that the image in a file is for, by the types of its partitions; `None` when they do not say.
///
/// # Errors
/// The file cannot be opened or read.
pub fn architecture(image: &Path) -> Result<Option<Architecture>, VerifyError> {
    let failed = |source| VerifyError { path: image.display().to_string(), source };
    let file = File::open(image).map_err(failed)?;
    let size = extent::size(&file).map_err(failed)?;
    let table = table::read(&file, size, &mut Findings::default()).map_err(failed)?;
    Ok(table.and_then(|table| table::architecture(&table.partitions)))
}

/// A check that is going on.
struct Inspection<'a> {
    image: &'a File,
    expected: &'a Expected,
    findings: Findings,
    unchecked: Vec<Unchecked>,
    figures: Figures,
}

impl<'a> Inspection<'a> {
    fn new(image: &'a File, expected: &'a Expected) -> Self {
        let (findings, figures) = (Findings::default(), Figures::default());
        Inspection { image, expected, findings, unchecked: Vec::new(), figures }
    }
}

impl Inspection<'_> {
    fn run(&mut self) -> io::Result<()> {
        let size = extent::size(self.image)?;
        self.figures.image_bytes = size;
        let Some(table) = table::read(self.image, size, &mut self.findings)? else { return Ok(()) };
        self.gaps(&table, size)?;
        let [esp, hash, root, empty @ ..] = table.partitions.as_slice() else {
            self.findings
                .add(Part::Table, "it has fewer than three partitions: expected ESP, hash tree, root".to_owned());
            return Ok(());
        };
        let Some(architecture) = table::architecture(&table.partitions) else {
            self.findings
                .add(Part::Table, "its partitions are not ESP, hash tree, root of one architecture".to_owned());
            return Ok(());
        };
        self.figures.architecture = Some(architecture.name());
        let root_hash = partition::root_hash_of(root.guid, hash.guid);
        self.figures.root_hash = Some(Sha256::from_bytes(root_hash));
        self.root_hash(&root_hash);
        let superblock = self.superblock(hash)?;
        let found = self.esp(esp, architecture)?;
        let boot = found.as_ref().and_then(|found| found.boot.as_ref());
        if let Some(boot) = boot {
            self.agreement(boot, &table, &root_hash, superblock.as_ref());
        }
        if let Some(superblock) = &superblock {
            self.hashes(hash, root, superblock, &root_hash)?;
            let kept = self.files(root, superblock, boot);
            if let Some(found) = &found {
                let root = VerifiedRoot { root_hash, data_blocks: superblock.data_blocks, salt: &superblock.salt };
                self.vouched(esp, found, kept.get(well_known::BOOT_RECORD), &root)?;
            }
        }
        for partition in empty {
            self.zeros(Part::EmptySlot, partition.start, partition.end())?;
        }
        Ok(())
    }

    /// Compares the root hash with those that are known from elsewhere.
    fn root_hash(&mut self, found: &RootHash) {
        let found = Sha256::from_bytes(*found);
        let manifest = self.expected.manifest.as_ref().map(|manifest| ("the manifest", manifest.root_hash));
        let known = self.expected.root_hash.map(|known| ("expected", known));
        for (whose, known) in manifest.into_iter().chain(known).filter(|(_, known)| *known != found) {
            let problem = format!("the partitions' identities say root hash {found}, {whose} {known}");
            self.findings.add(Part::Table, problem);
        }
        if self.expected.root_hash.is_none() {
            self.unchecked.push(Unchecked::RootHash);
        }
    }

    /// The superblock of the hash partition; its size must fit both partitions.
    fn superblock(&mut self, hash: &Partition) -> io::Result<Option<Superblock>> {
        let mut block = [0; BLOCK_BYTES];
        if hash.size() < BLOCK {
            self.findings.add(Part::HashTree, "its partition is smaller than a block".to_owned());
            return Ok(None);
        }
        extent::read(self.image, &mut block, hash.start)?;
        match Superblock::decode(&block) {
            Ok(superblock) => Ok(Some(superblock)),
            Err(problem) => {
                self.findings.add_at(Part::HashTree, hash.start, 0, format!("the superblock is damaged: {problem}"));
                Ok(None)
            }
        }
    }

    /// What the table, the superblock and the seed say must agree with what the kernel image says.
    fn agreement(&mut self, boot: &Boot, table: &Table, root_hash: &RootHash, superblock: Option<&Superblock>) {
        let label = boot.image.to_string();
        if let Some(manifest) = &self.expected.manifest {
            let (said, found) = ((&manifest.entry, manifest.architecture.as_str()), (&label, boot.architecture.name()));
            if said != found {
                let problem =
                    format!("it is of `{}` for {}, the manifest is of `{}` for {}", found.0, found.1, said.0, said.1);
                self.findings.add(Part::Esp, problem);
            }
        }
        let seed = Seed::of(&boot.image.variant, boot.architecture);
        let kinds = [partition::root_verity(boot.architecture), partition::root(boot.architecture)];
        let esp = seed.partition(partition::ESP, 0);
        let mut wanted = vec![
            (partition::ESP_LABEL, esp, 0),
            (label.as_str(), partition::hash_guid(root_hash), partition::READ_ONLY),
            (label.as_str(), partition::root_guid(root_hash), partition::READ_ONLY),
        ];
        let empty = partition::READ_ONLY | partition::NO_AUTO;
        for slot in 1..table.partitions.len().div_ceil(2) as u64 {
            wanted.extend(kinds.map(|kind| (partition::EMPTY_LABEL, seed.partition(kind, slot), empty)));
        }
        if table.disk != seed.disk() {
            self.differs(Part::Table, "the disk's GUID", table.disk, seed.disk());
        }
        for ((number, found), (label, guid, attributes)) in (1..).zip(&table.partitions).zip(wanted) {
            let what = |field: &str| format!("the {field} of partition {number}");
            if found.label != label {
                self.differs(Part::Table, &what("label"), &found.label, label);
            }
            if found.guid != guid {
                self.differs(Part::Table, &what("GUID"), found.guid, guid);
            }
            if found.attributes != attributes {
                self.differs(Part::Table, &what("attributes"), found.attributes, attributes);
            }
        }
        if let Some(superblock) = superblock {
            let (found, wanted) = (Guid::from_bytes(superblock.uuid), Guid::from_bytes(seed.verity_uuid()));
            if found != wanted {
                self.differs(Part::HashTree, "the superblock's UUID", found, wanted);
            }
            boot.compare_table(root_hash, superblock, &mut self.findings);
        }
    }

    fn differs(&mut self, part: Part, what: &str, found: impl std::fmt::Display, wanted: impl std::fmt::Display) {
        self.findings.add(part, format!("{what} is `{found}`, expected `{wanted}`"));
    }

    /// What no partition covers must be zero, but for the tables.
    fn gaps(&mut self, table: &Table, size: u64) -> io::Result<()> {
        let mut from = 34 * SECTOR;
        for partition in &table.partitions {
            self.zeros(Part::Gap, from, partition.start)?;
            from = partition.end();
        }
        self.zeros(Part::Gap, from, size.saturating_sub(33 * SECTOR))
    }

    /// Bytes from `from` up to `to` must be zero.
    fn zeros(&mut self, part: Part, from: u64, to: u64) -> io::Result<()> {
        if let Some(offset) = extent::first_nonzero(self.image, from, to)? {
            self.findings.add_at(part, offset, (offset - from) / BLOCK, "a byte is not zero that must be".to_owned());
        }
        Ok(())
    }
}

/// An image cannot be checked.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be read")]
pub struct VerifyError {
    path: String,
    source: io::Error,
}
