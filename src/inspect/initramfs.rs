//! The initramfs of a kernel image: whether what a finished kernel is started with is in it.
//!
//! Format: cpio "newc" (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`), unpacked.

use std::collections::BTreeMap;

use brc_contract::initramfs::{INIT, MODULES, ModuleOrder, ModuleOrderError, ORDER};

/// The most entries that are read: one for each module, and some.
const MAX_ENTRIES: usize = 10_000;
/// The bytes of a header: a magic number and 13 fields of eight hexadecimal digits.
const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
const TRAILER: &str = "TRAILER!!!";
/// The bits of a mode that make a file executable, and those of a regular file.
const EXECUTABLE: u32 = 0o111;
const REGULAR: (u32, u32) = (0o170_000, 0o100_000);

/// A file of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File<'a> {
    mode: u32,
    bytes: &'a [u8],
}

/// Looks for the first program, the order of modules, and each module of it.
///
/// # Errors
/// What is missing or cannot be read; the first of it.
pub(super) fn check(archive: &[u8]) -> Result<(), InitramfsProblem> {
    let files = read(archive)?;
    let find = |path: &str| {
        let inside = path.trim_start_matches('/');
        let found = files.get(inside).filter(|file| file.mode & REGULAR.0 == REGULAR.1 && !file.bytes.is_empty());
        found.copied().ok_or_else(|| InitramfsProblem::Missing { path: path.to_owned() })
    };
    if find(INIT)?.mode & EXECUTABLE != EXECUTABLE {
        return Err(InitramfsProblem::NotExecutable);
    }
    let order = String::from_utf8_lossy(files.get(ORDER.trim_start_matches('/')).map_or(&[], |file| file.bytes));
    for module in ModuleOrder::parse(&order)?.files() {
        find(&format!("{MODULES}/{module}"))?;
    }
    Ok(())
}

fn read(archive: &[u8]) -> Result<BTreeMap<String, File<'_>>, InitramfsProblem> {
    let cut = |at: usize| InitramfsProblem::CutOff { at };
    let (mut files, mut at) = (BTreeMap::new(), 0_usize);
    while files.len() < MAX_ENTRIES {
        let header = archive.get(at..at.saturating_add(HEADER)).ok_or_else(|| cut(at))?;
        if !header.starts_with(MAGIC) {
            return Err(InitramfsProblem::NoHeader { at });
        }
        let field = |index: usize| -> Option<u32> {
            let text = header.get(6 + index * 8..14 + index * 8)?;
            u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
        };
        let (Some(mode), Some(size), Some(name_size)) = (field(1), field(6), field(11)) else {
            return Err(InitramfsProblem::NoHeader { at });
        };
        let name_at = at + HEADER;
        let name_end = name_at.checked_add(name_size as usize).ok_or_else(|| cut(at))?;
        let name = archive.get(name_at..name_end).and_then(|name| name.strip_suffix(b"\0"));
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).ok_or_else(|| cut(at))?;
        if name == TRAILER {
            return Ok(files);
        }
        let bytes_at = name_end.next_multiple_of(4);
        let bytes_end = bytes_at.checked_add(size as usize).ok_or_else(|| cut(at))?;
        let bytes = archive.get(bytes_at..bytes_end).ok_or_else(|| cut(at))?;
        if files.insert(name.to_owned(), File { mode, bytes }).is_some() {
            return Err(InitramfsProblem::Twice { path: name.to_owned() });
        }
        at = bytes_end.next_multiple_of(4);
    }
    Err(InitramfsProblem::TooMany)
}

/// An initramfs from which nothing would start.
#[derive(Debug, thiserror::Error)]
pub(super) enum InitramfsProblem {
    /// The archive ends too early.
    #[error("its initramfs ends inside the entry at byte {at}")]
    CutOff { at: usize },
    /// There is no entry where one should be.
    #[error("its initramfs has no cpio entry at byte {at}")]
    NoHeader { at: usize },
    /// More entries than are read.
    #[error("its initramfs has {MAX_ENTRIES} entries or more")]
    TooMany,
    /// A path is there twice.
    #[error("its initramfs has `/{path}` twice")]
    Twice { path: String },
    /// A file is missing.
    #[error("its initramfs has no file `{path}`")]
    Missing { path: String },
    /// The first program cannot be started.
    #[error("its initramfs has `{INIT}`, which is not executable")]
    NotExecutable,
    /// The order of the modules cannot be read.
    #[error("`{ORDER}` of its initramfs cannot be read")]
    Order {
        #[from]
        source: ModuleOrderError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::initramfs::{Module, archive};

    #[test]
    fn every_part_is_looked_for() {
        let module = Module { name: "dm_mod".to_owned(), bytes: b"module".to_vec() };
        let good = archive(b"init", &[module], &BTreeMap::new()).unwrap();
        check(&good).unwrap();
        let changed = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
            [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
        };
        let cases = [
            (changed("init\0", "exit\0"), "has no file `/init`"),
            (changed("modules/dm_mod.ko", "modules/dm_mud.ko"), "has no file `/modules/dm_mod.ko`"),
            (changed("dm_mod.ko\n", "dm_mod.kk\n"), "`/modules/order` of its initramfs cannot be read"),
            (changed("000081ed", "000081a4"), "not executable"),
            (changed("070701", "070702"), "no cpio entry at byte 0"),
            (good[..good.len() - 20].to_vec(), "ends inside the entry"),
            (Vec::new(), "ends inside the entry at byte 0"),
        ];
        for (bytes, expected) in cases {
            let error = check(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
