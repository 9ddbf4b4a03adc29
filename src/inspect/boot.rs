//! The unified kernel image: its sections, and what its command line says of the root.

use std::fmt::Display;

use brc_contract::{
    Architecture, EntryName, ImageName,
    command_line::{self, VerityTable},
    error_chain, os_release, partition,
};

use super::{
    initramfs,
    report::{Findings, Part},
};
use crate::{
    content::Sha256,
    image::{
        pe::PeFile,
        verity::{RootHash, Superblock},
    },
    plan::layout::{BLOCK, SECTOR},
};

/// The sections that a kernel image has besides its stub's, in order.
const SECTIONS: [&str; 4] = [".osrel", ".cmdline", ".uname", ".linux"];
/// The section of what a finished kernel is started with; it stands behind `.cmdline`.
const INITRAMFS: &str = ".initrd";

/// What a kernel image says.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    /// The machine that it is for.
    pub architecture: Architecture,
    /// `IMAGE_ID` and `IMAGE_VERSION` of `.osrel`.
    pub image: ImageName,
    /// The bytes of `.osrel`.
    pub os_release: Vec<u8>,
    /// The words of the command line.
    pub words: Vec<String>,
}

impl Boot {
    /// Reads a kernel image; `None` when what it says cannot be had.
    pub(super) fn read(
        bytes: Vec<u8>,
        name: &EntryName,
        architecture: Architecture,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut wrong = |problem: String| findings.add(Part::Uki, problem);
        let file = match PeFile::parse(bytes) {
            Ok(file) => file,
            Err(problem) => {
                wrong(problem.to_string());
                return None;
            }
        };
        if file.machine() != architecture.pe_machine() {
            wrong(format!("it is for machine {:#06x}, expected {}", file.machine(), architecture.name()));
        }
        let names: Vec<&str> = file.sections().iter().map(|section| section.name.as_str()).collect();
        let with = [&SECTIONS[..2], &[INITRAMFS], &SECTIONS[2..]].concat();
        if !(names.ends_with(&SECTIONS) || names.ends_with(&with)) || !names.contains(&".sbat") {
            let expected = SECTIONS.join(" ");
            wrong(format!("its sections are {}: expected .sbat, then {expected} last", names.join(" ")));
        }
        if let Some(Err(problem)) = file.section(INITRAMFS).map(initramfs::check) {
            wrong(error_chain(&problem));
        }
        let text = |section: &str| Some(std::str::from_utf8(file.section(section)?).ok()?.to_owned());
        let (Some(os_release), Some(line)) = (text(".osrel"), text(".cmdline")) else {
            wrong("its `.osrel` or `.cmdline` is missing or no text".to_owned());
            return None;
        };
        let value = |key: &str| os_release::value(&os_release, key).map(str::to_owned);
        let (Some(image_id), Some(image_version)) = (value(os_release::IMAGE_ID), value(os_release::IMAGE_VERSION))
        else {
            wrong("its `.osrel` has no IMAGE_ID or IMAGE_VERSION".to_owned());
            return None;
        };
        let image = ImageName::new(&image_id, &image_version);
        if name.stem != image.to_string() {
            wrong(format!("it is called `{name}`, but says that it is `{image_id}` {image_version}"));
        }
        if !name.is_good() && *name != EntryName::new(&image) {
            wrong(format!("`{name}` is neither fresh (+3-0) nor found healthy (no counter)"));
        }
        let words = command_line::words(&line);
        Some(Boot { architecture, image, os_release: os_release.into_bytes(), words })
    }

    /// Compares what the command line says of the root with what is on the disk.
    pub(super) fn compare_table(&self, root_hash: &RootHash, superblock: &Superblock, findings: &mut Findings) {
        let create = command_line::value(&self.words, "dm-mod.create");
        let Some(table) = create.and_then(VerityTable::parse) else {
            findings.add(Part::Uki, "its command line has no dm-verity table in `dm-mod.create=`".to_owned());
            return;
        };
        let mut compare = |what: &str, found: &dyn Display, expected: &dyn Display| {
            let (found, expected) = (found.to_string(), expected.to_string());
            if found != expected {
                findings.add(Part::Uki, format!("its command line says {what} `{found}`, the disk `{expected}`"));
            }
        };
        let device = |guid| format!("PARTUUID={guid}");
        let (root, hash) = (device(partition::root_guid(root_hash)), device(partition::hash_guid(root_hash)));
        compare("root hash", &table.root_hash, &Sha256::from_bytes(*root_hash));
        compare("salt", &table.salt, &Sha256::from_bytes(superblock.salt));
        compare("data blocks", &table.data_blocks, &superblock.data_blocks);
        compare("sectors", &table.sectors, &superblock.data_blocks.saturating_mul(BLOCK / SECTOR));
        compare("start of the hash tree", &table.hash_start, &1);
        compare("root partition", &table.data_device, &root);
        compare("hash partition", &table.hash_device, &hash);
        let waits = command_line::value(&self.words, "dm-mod.waitfor").unwrap_or_default();
        compare("partitions to wait for", &waits, &format!("{root},{hash}"));
        compare("root", &command_line::value(&self.words, "root").unwrap_or_default(), &"/dev/dm-0");
        for (word, why) in [("gpt", "without it the backup table is never tried"), ("ro", "the root is read-only")] {
            if !self.words.iter().any(|found| found == word) {
                findings.add(Part::Uki, format!("its command line has no `{word}`: {why}"));
            }
        }
        if !table.options.iter().any(|option| option == "restart_on_corruption") {
            findings.add(Part::Uki, "its command line does not restart when a block is damaged".to_owned());
        }
    }
}
