//! What the root says of the files that start it: `/usr/lib/brc/boot.json`, version 1.
//!
//! The kernel image holds the root hash, so the root cannot hold the digest of the kernel image. It holds that of the
//! image as it is before the root hash is filled in ([`uki::bind`](super::uki::bind)): who knows a root hash can take a
//! kernel image back to that and compare. All other files of the ESP stand in it as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    pe::{PeError, PeFile},
    uki::COMMAND_LINE,
};
use crate::content::{RelPath, Sha256};

/// The version of the format that is written; others are not read.
pub const BOOT_VERSION: u32 = 1;

/// What starts the root that this stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRecord {
    /// [`BOOT_VERSION`].
    pub boot_version: u32,
    /// The unified kernel image.
    pub kernel_image: KernelImage,
    /// The SHA-256 of every other file of the ESP, by path: `EFI/BOOT/BOOTX64.EFI`.
    pub files: BTreeMap<String, String>,
}

/// A unified kernel image before the root hash is filled in, without a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelImage {
    /// The SHA-256 of the whole file.
    pub sha256: String,
    /// Its command line; words in braces stand for what the root hash and the size of the root decide.
    pub command_line: String,
    /// The SHA-256 of each section, by name, but for the command line. Nothing rests on them: they say what differs.
    pub sections: BTreeMap<String, String>,
}

impl BootRecord {
    /// The record of a kernel image that is not bound to a root, and the files beside it.
    ///
    /// # Errors
    /// An image without a command line, or no PE file.
    pub fn of(uki: Vec<u8>, files: BTreeMap<RelPath, Sha256>) -> Result<Self, BootRecordError> {
        let sha256 = Sha256::of(&uki).to_string();
        let file = PeFile::parse(uki)?;
        let text = |name| file.section(name).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let command_line = text(COMMAND_LINE).ok_or(BootRecordError::NoCommandLine)?;
        let kernel_image = KernelImage { sha256, command_line, sections: section_digests(&file) };
        let files = files.into_iter().map(|(path, sha256)| (path.as_str().to_owned(), sha256.to_string())).collect();
        Ok(BootRecord { boot_version: BOOT_VERSION, kernel_image, files })
    }

    /// The record as bytes: indented JSON with a final newline.
    ///
    /// # Errors
    /// Never for what [`BootRecord::of`] gives; serde's signature has one.
    pub fn encode(&self) -> Result<Vec<u8>, BootRecordError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is no JSON of this shape, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, BootRecordError> {
        #[derive(Deserialize)]
        struct Head {
            boot_version: u32,
        }
        let Head { boot_version } = serde_json::from_slice(bytes)?;
        if boot_version != BOOT_VERSION {
            return Err(BootRecordError::Version { found: boot_version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The SHA-256 of each section by name, but for the command line.
pub fn section_digests(file: &PeFile) -> BTreeMap<String, String> {
    let names = file.sections().iter().map(|section| section.name.as_str()).filter(|name| *name != COMMAND_LINE);
    let digest = |name| Some((str::to_owned(name), Sha256::of(file.section(name)?).to_string()));
    names.filter_map(digest).collect()
}

/// What the root says of its start cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BootRecordError {
    /// The kernel image is none.
    #[error("the kernel image cannot be read")]
    Image {
        #[from]
        source: PeError,
    },
    /// The kernel image has no command line.
    #[error("the kernel image has no command line in `.cmdline`")]
    NoCommandLine,
    /// It is not JSON of this shape.
    #[error("it is not what brc writes")]
    Json {
        #[from]
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("it has version {found}, this brc reads {BOOT_VERSION}")]
    Version { found: u32 },
}

#[cfg(test)]
mod tests {
    use brc_contract::Architecture;

    use super::*;
    use crate::image::{pe::tests::small_pe, uki};

    fn record() -> BootRecord {
        let machine = Architecture::X86_64.pe_machine();
        let parts = uki::Parts {
            stub: &small_pe(machine, 8),
            kernel: &small_pe(machine, 0),
            os_release: "ID=brc\n",
            release: "6.12.1",
            command_line: "ro root={root-partition}",
            initramfs: None,
            architecture: Architecture::X86_64,
        };
        let files = ["EFI/BOOT/BOOTX64.EFI", "loader/loader.conf"]
            .map(|path| (RelPath::new(path).unwrap(), Sha256::of(path.as_bytes())));
        BootRecord::of(uki::build(&parts).unwrap(), BTreeMap::from(files)).unwrap()
    }

    #[test]
    fn what_starts_a_root_is_written_like_this() {
        insta::assert_snapshot!(String::from_utf8(record().encode().unwrap()).unwrap());
    }

    #[test]
    fn what_is_written_is_read_back_and_another_version_is_refused() {
        let bytes = record().encode().unwrap();
        assert_eq!(BootRecord::parse(&bytes).unwrap(), record());
        let text = String::from_utf8(bytes).unwrap();
        let newer = text.replace("\"boot_version\": 1", "\"boot_version\": 2");
        assert!(matches!(BootRecord::parse(newer.as_bytes()), Err(BootRecordError::Version { found: 2 })));
        let more = text.replace("\"files\"", "\"more\": 1, \"files\"");
        assert!(matches!(BootRecord::parse(more.as_bytes()), Err(BootRecordError::Json { .. })));
    }
}
