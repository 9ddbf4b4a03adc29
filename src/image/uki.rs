//! Unified kernel images: a stub with kernel, command line and names appended.
//!
//! Format: UAPI.5, Unified Kernel Image; systemd's `src/ukify/ukify.py` 257. Sections stand in the order in which they
//! are measured, but `.linux` is last, so that a kernel may use the memory behind it. In the file the bytes of `.osrel`
//! come behind all others: the loader passes over an image whose `.osrel` it cannot read, so one that is cut short is
//! no entry, and the version before is started.

use brc_contract::{Architecture, command_line, partition};

use super::{
    pe::{Content, PeError, PeFile},
    verity::RootHash,
};
use crate::plan::layout::{BLOCK, SECTOR};

/// A larger image is not made, and not read.
pub const MAX_UKI_BYTES: u64 = 256 << 20;
/// The section of the command line.
pub const COMMAND_LINE: &str = ".cmdline";
/// The section by which the loader knows an entry.
const OS_RELEASE: &str = ".osrel";
/// The line that starts every revocation table.
const SBAT_HEAD: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
/// The line that a unified kernel image adds.
const SBAT_UKI: &str = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";

/// What a unified kernel image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// systemd's EFI stub.
    pub stub: &'a [u8],
    /// The kernel, with an EFI stub of its own.
    pub kernel: &'a [u8],
    /// The text of `.osrel`.
    pub os_release: &'a str,
    /// The kernel's release: the text of `.uname`.
    pub release: &'a str,
    /// The text of `.cmdline`; what it says in braces is filled in by [`bind`].
    pub command_line: &'a str,
    /// What a finished kernel is started with, for `.initrd`.
    pub initramfs: Option<&'a [u8]>,
    /// The machine it is for.
    pub architecture: Architecture,
}

/// What a command line says of the verified root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedRoot<'a> {
    /// The root hash.
    pub root_hash: RootHash,
    /// The number of data blocks.
    pub data_blocks: u64,
    /// The salt.
    pub salt: &'a [u8; 32],
}

/// Makes a unified kernel image.
///
/// # Errors
/// A stub or kernel that is no PE file for the architecture, a signed stub, no room in the stub's headers, or a text
/// that cannot stand in its section.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>, UkiError> {
    let of_stub = |source| UkiError::Pe { file: "stub", source };
    let mut file = PeFile::parse(parts.stub.to_vec()).map_err(of_stub)?;
    let kernel = PeFile::parse(parts.kernel.to_vec()).map_err(|source| UkiError::Pe { file: "kernel", source })?;
    for (name, found) in [("stub", file.machine()), ("kernel", kernel.machine())] {
        let expected = parts.architecture.pe_machine();
        if found != expected {
            return Err(UkiError::Machine { file: name, found, expected, architecture: parts.architecture.name() });
        }
    }
    if file.is_signed() {
        return Err(UkiError::SignedStub);
    }
    let texts = [(OS_RELEASE, parts.os_release), (COMMAND_LINE, parts.command_line), (".uname", parts.release)];
    if let Some((section, _)) = texts.iter().find(|(_, text)| text.is_empty() || text.contains('\0')) {
        return Err(UkiError::Text { section });
    }
    let [os_release, command_line, release] = texts.map(|(section, text)| (section, Some(text.as_bytes())));
    for (section, bytes) in [os_release, command_line, (".initrd", parts.initramfs), release] {
        if let Some(bytes) = bytes {
            file.append(section, bytes, Content::Data).map_err(of_stub)?;
        }
    }
    // Firmware that honours the flag would map the kernel without permission to execute.
    if !kernel.is_nx_compatible() {
        file.clear_nx_compatible();
    }
    file.append(".linux", parts.kernel, Content::Code).map_err(of_stub)?;
    let sbat = merge_sbat(&[file.section(".sbat").unwrap_or_default(), kernel.section(".sbat").unwrap_or_default()]);
    file.replace(".sbat", sbat.as_bytes()).map_err(of_stub)?;
    file.lay_last(OS_RELEASE).map_err(of_stub)?;
    let image = file.into_bytes();
    if image.len() as u64 > MAX_UKI_BYTES {
        return Err(UkiError::TooLarge { bytes: image.len() });
    }
    Ok(image)
}

/// An image that [`build`] made, with another command line: the bytes that it would have made with that one.
///
/// # Errors
/// An image that is not one of [`build`], or a command line that cannot stand in its section.
pub fn with_command_line(uki: Vec<u8>, line: &str) -> Result<Vec<u8>, UkiError> {
    let of_uki = |source| UkiError::Pe { file: "unified kernel image", source };
    if line.is_empty() || line.contains('\0') {
        return Err(UkiError::Text { section: COMMAND_LINE });
    }
    let mut file = PeFile::parse(uki).map_err(of_uki)?;
    // An older brc laid all sections in order.
    let is_last = file.is_last(OS_RELEASE);
    file.lay_in_order(OS_RELEASE).map_err(of_uki)?;
    file.replace_appended(COMMAND_LINE, line.as_bytes()).map_err(of_uki)?;
    if is_last {
        file.lay_last(OS_RELEASE).map_err(of_uki)?;
    }
    Ok(file.into_bytes())
}

/// An image whose command line says in braces what it says of the verified root, with that filled in.
///
/// # Errors
/// An image that is not one of [`build`], or what [`fill_command_line`] says.
pub fn bind(uki: Vec<u8>, root: &VerifiedRoot<'_>) -> Result<Vec<u8>, UkiError> {
    let file = PeFile::parse(uki).map_err(|source| UkiError::Pe { file: "unified kernel image", source })?;
    let line = file.section(COMMAND_LINE).and_then(|line| std::str::from_utf8(line).ok());
    let line = fill_command_line(line.ok_or(UkiError::Text { section: COMMAND_LINE })?, root)?;
    with_command_line(file.into_bytes(), &line)
}

/// One revocation table of several: a single head, then every other line in order, then that of UKIs.
fn merge_sbat(tables: &[&[u8]]) -> String {
    let mut merged = format!("{SBAT_HEAD}\n");
    for table in tables {
        let text = String::from_utf8_lossy(table);
        let mut lines = text.trim_end_matches('\0').lines();
        if lines.next().is_some_and(|head| head.starts_with("sbat,")) {
            lines.for_each(|line| merged.extend([line, "\n"]));
        }
    }
    merged.extend([SBAT_UKI, "\n\0"]);
    merged
}

/// Fills in what `line` says in braces of the verified root.
///
/// # Errors
/// A word in braces that stands for nothing, a control character, or more bytes than a kernel takes.
pub fn fill_command_line(line: &str, root: &VerifiedRoot<'_>) -> Result<String, UkiError> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let filled = [
        (command_line::ROOT_PARTITION, format!("PARTUUID={}", partition::root_guid(&root.root_hash))),
        (command_line::HASH_PARTITION, format!("PARTUUID={}", partition::hash_guid(&root.root_hash))),
        (command_line::SECTORS, root.data_blocks.saturating_mul(BLOCK / SECTOR).to_string()),
        (command_line::BLOCKS, root.data_blocks.to_string()),
        (command_line::ROOT_HASH, hex(&root.root_hash)),
        (command_line::SALT, hex(root.salt)),
    ]
    .iter()
    .fold(line.to_owned(), |line, (word, value)| line.replace(word, value));
    let problem = if filled.contains(['{', '}']) {
        "a word in braces is left over"
    } else if filled.contains(|character: char| character.is_control()) {
        "it has a control character"
    } else if filled.len() > command_line::MAX_BYTES {
        "it is longer than the 2047 bytes that a kernel takes"
    } else {
        return Ok(filled);
    };
    Err(UkiError::CommandLine { line: filled, problem })
}

/// A unified kernel image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UkiError {
    /// The stub or the kernel is not the PE file that it should be.
    #[error("the {file} cannot become a unified kernel image")]
    Pe { file: &'static str, source: PeError },
    /// The stub or the kernel is for another machine.
    #[error("the {file} is for machine {found:#06x}, expected {expected:#06x} ({architecture})")]
    Machine { file: &'static str, found: u16, expected: u16, architecture: &'static str },
    /// The stub is signed, which appending would break.
    #[error("the stub is signed: take the unsigned one, the finished image is signed as a whole")]
    SignedStub,
    /// A text is empty or has a NUL.
    #[error("the text for section `{section}` is empty or has a NUL byte")]
    Text { section: &'static str },
    /// An ESP holds three of them.
    #[error("it would have {bytes} bytes: expected at most 256 MiB")]
    TooLarge { bytes: usize },
    /// The command line is not one.
    #[error("the kernel command line `{line}` cannot be used: {problem}")]
    CommandLine { line: String, problem: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::pe::tests::small_pe;

    const X86: u16 = 0x8664;

    fn parts<'a>(stub: &'a [u8], kernel: &'a [u8]) -> Parts<'a> {
        Parts {
            stub,
            kernel,
            os_release: "ID=brc\n",
            release: "6.12.1",
            command_line: "ro quiet",
            initramfs: None,
            architecture: Architecture::X86_64,
        }
    }

    #[test]
    fn sections_are_appended_with_the_kernel_last() {
        let stub = small_pe(X86, 8);
        let kernel = small_pe(X86, 0);
        let uki = PeFile::parse(build(&parts(&stub, &kernel)).unwrap()).unwrap();
        let names: Vec<&str> = uki.sections().iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, [".text", ".sbat", ".osrel", ".cmdline", ".uname", ".linux"]);
        assert_eq!(uki.section(".cmdline"), Some(&b"ro quiet"[..]));
        assert_eq!(uki.section(".linux"), Some(&kernel[..]));
        let started_with = Parts { initramfs: Some(b"cpio"), ..parts(&stub, &kernel) };
        let with = PeFile::parse(build(&started_with).unwrap()).unwrap();
        let names: Vec<&str> = with.sections().iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, [".text", ".sbat", ".osrel", ".cmdline", ".initrd", ".uname", ".linux"]);
        assert_eq!(with.section(".initrd"), Some(&b"cpio"[..]));
        let sbat = String::from_utf8(uki.section(".sbat").unwrap().to_vec()).unwrap();
        assert_eq!(sbat, format!("{SBAT_HEAD}\nstub,1\nstub,1\n{SBAT_UKI}\n\0"));
        let mut end = 0;
        for section in uki.sections() {
            assert!(section.address.is_multiple_of(4096) && section.address >= end, "{section:?}");
            end = section.address + section.size as u32;
        }
    }

    #[test]
    fn an_image_that_is_cut_short_has_lost_that_by_which_the_loader_knows_it() {
        let (stub, kernel) = (small_pe(X86, 8), small_pe(X86, 0));
        for image in [build(&parts(&stub, &kernel)).unwrap(), {
            with_command_line(build(&parts(&stub, &kernel)).unwrap(), &"word ".repeat(400)).unwrap()
        }] {
            let length = image.len();
            let file = PeFile::parse(image).unwrap();
            let known_by = file.sections().iter().find(|section| section.name == OS_RELEASE).unwrap();
            assert_eq!(known_by.offset + known_by.raw_size, length);
            assert!(file.sections().iter().all(|other| other.offset <= known_by.offset), "{:?}", file.sections());
            assert_eq!(file.section(OS_RELEASE), Some(&b"ID=brc\n"[..]));
        }
    }

    #[test]
    fn with_another_command_line_an_image_is_the_one_that_was_built_with_it() {
        let (stub, kernel) = (small_pe(X86, 8), small_pe(X86, 0));
        let long = "word ".repeat(400);
        let lines = ["ro quiet", "ro", &long, command_line::VERIFIED_ROOT];
        let built = lines.map(|command_line| build(&Parts { command_line, ..parts(&stub, &kernel) }).unwrap());
        for from in &built {
            for (line, expected) in lines.iter().zip(&built) {
                assert!(with_command_line(from.clone(), line).unwrap() == *expected, "{line}");
            }
        }
        let as_before = |image: &[u8]| {
            let mut file = PeFile::parse(image.to_vec()).unwrap();
            file.lay_in_order(OS_RELEASE).unwrap();
            file.into_bytes()
        };
        let [first, second, ..] = built.each_ref().map(|image| as_before(image));
        assert!(first != built[0] && with_command_line(first, lines[1]).unwrap() == second, "of an older brc");
        assert!(matches!(with_command_line(stub, "ro"), Err(UkiError::Pe { source: PeError::NotAppended { .. }, .. })));
        assert!(matches!(with_command_line(built[0].clone(), ""), Err(UkiError::Text { section: COMMAND_LINE })));
    }

    #[test]
    fn what_cannot_become_an_image_is_refused() {
        let (stub, kernel) = (small_pe(X86, 8), small_pe(X86, 0));
        let full = small_pe(X86, 2);
        assert!(matches!(
            build(&parts(&full, &kernel)),
            Err(UkiError::Pe { file: "stub", source: PeError::NoRoom { .. } })
        ));
        assert!(matches!(build(&parts(&stub, b"\x7fELF")), Err(UkiError::Pe { file: "kernel", .. })));
        let arm = small_pe(0xaa64, 8);
        assert!(matches!(build(&parts(&stub, &arm)), Err(UkiError::Machine { file: "kernel", .. })));
        let empty = Parts { release: "", ..parts(&stub, &kernel) };
        assert!(matches!(build(&empty), Err(UkiError::Text { section: ".uname" })));
    }

    #[test]
    fn the_command_line_names_both_partitions_by_the_root_hash() {
        let root = VerifiedRoot { root_hash: std::array::from_fn(|at| at as u8), data_blocks: 10, salt: &[0xab; 32] };
        let line = fill_command_line(command_line::VERIFIED_ROOT, &root).unwrap();
        let words = command_line::words(&line);
        let create = command_line::value(&words, "dm-mod.create").unwrap();
        let table = command_line::VerityTable::parse(create).unwrap();
        assert_eq!(table.data_device, "PARTUUID=00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(table.hash_device, "PARTUUID=10111213-1415-1617-1819-1a1b1c1d1e1f");
        assert_eq!((table.sectors, table.data_blocks), (80, 10));
        assert_eq!(table.salt, "ab".repeat(32));
        for wrong in ["{nothing}", "a\nb", &"a ".repeat(1500)] {
            assert!(matches!(fill_command_line(wrong, &root), Err(UkiError::CommandLine { .. })), "{wrong}");
        }
    }
}
