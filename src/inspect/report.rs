//! What a check found, as data.

use std::fmt;

use crate::content::{Sha256, counted};

/// Findings of one part that are told; of the others only the number.
const MAX_OF_PART: usize = 100;

/// What a check of an image found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, by part and place; an image without any is good.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub unchecked: Vec<Unchecked>,
    /// What was measured.
    pub figures: Figures,
}

/// Something that a check says nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unchecked {
    /// Whether this is the image that it should be: an image of somebody else agrees with itself as well.
    RootHash,
    /// The kernel, its command line, the boot loader and its settings: the root does not say what they are.
    Boot,
    /// The disk for data, on which images of containers come.
    DataDisk,
}

impl Unchecked {
    /// What was not checked, for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Unchecked::RootHash => "root hash",
            Unchecked::Boot => "boot",
            Unchecked::DataDisk => "data disk",
        }
    }
}

/// Numbers of an image; what could not be read is zero or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// The size of the image in bytes.
    pub image_bytes: u64,
    /// The architecture's name.
    pub architecture: Option<&'static str>,
    /// The root hash that the partitions' identities speak of.
    pub root_hash: Option<Sha256>,
    /// Data blocks of 4096 bytes that were hashed.
    pub data_blocks: u64,
    /// Blocks of the hash tree that were hashed.
    pub hash_blocks: u64,
    /// The size of the root partition in bytes.
    pub root_partition_bytes: u64,
    /// The size of the ESP in bytes.
    pub esp_bytes: u64,
    /// The size that the ESP needs to have room for updates, in bytes.
    pub esp_needed_bytes: u64,
    /// The file name of the boot entry.
    pub entry: Option<String>,
    /// Files, folders and links in the root.
    pub paths: u64,
    /// The sum of the sizes of the root's files in bytes.
    pub file_bytes: u64,
}

/// The part of an image that a finding is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The partition tables.
    Table,
    /// What no partition covers.
    Gap,
    /// The EFI system partition.
    Esp,
    /// The unified kernel image.
    Uki,
    /// The partition with the hash tree.
    HashTree,
    /// The root partition, as blocks.
    Root,
    /// The root's files.
    Files,
    /// A slot that is empty.
    EmptySlot,
    /// The disk for data that comes with the image.
    DataDisk,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub part: Part,
    /// The byte of the image at which it starts, if it has a place.
    pub offset: Option<u64>,
    /// The block of 4096 bytes of its partition.
    pub block: Option<u64>,
    /// What is wrong, as a clause.
    pub problem: String,
}

/// Findings while they are made.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, part: Part, problem: String) {
        self.0.push(Finding { part, offset: None, block: None, problem });
    }

    pub(super) fn add_at(&mut self, part: Part, offset: u64, block: u64, problem: String) {
        self.0.push(Finding { part, offset: Some(offset), block: Some(block), problem });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// All of them in order, each once; a part with very many ends with their number.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0.dedup();
        let mut kept: Vec<Finding> = Vec::new();
        for of_part in self.0.chunk_by(|a, b| a.part == b.part) {
            kept.extend(of_part.iter().take(MAX_OF_PART).cloned());
            if let Some(more) = of_part.len().checked_sub(MAX_OF_PART).filter(|more| *more > 0) {
                let problem = counted(more, "more finding");
                kept.push(Finding { part: of_part[0].part, offset: None, block: None, problem });
            }
        }
        kept
    }
}

impl Finding {
    /// What is wrong with the disk for data that comes with an image.
    pub fn of_data_disk(problem: String) -> Self {
        Finding { part: Part::DataDisk, offset: None, block: None, problem }
    }
}

impl Report {
    /// Whether nothing is wrong in what was checked.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Part {
    /// The part's name, for people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Table => "partition table",
            Part::Gap => "gap between partitions",
            Part::Esp => "EFI system partition",
            Part::Uki => "unified kernel image",
            Part::HashTree => "hash partition",
            Part::Root => "root partition",
            Part::Files => "root file system",
            Part::EmptySlot => "empty slot",
            Part::DataDisk => "disk for data",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part.name())?;
        if let Some(block) = self.block {
            write!(f, ", block {block}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " (byte {offset} of the image)")?;
        }
        write!(f, ": {}", self.problem)
    }
}
