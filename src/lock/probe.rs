//! Doors for the fuzz targets in `fuzz/`: each takes bytes as they come from outside, and none may panic.
//!
//! Behind a signature nothing random is ever read, so the readers are called here without one.

use std::collections::BTreeSet;

use brc_contract::Architecture;

use crate::content::Compression;

use super::{
    closure::{self, Stock},
    control,
    document::Lock,
    document::Purpose,
    index::{self, Catalogue, Origin},
    release,
    resolution::Resolved,
    source,
    wanted::{Archive, Closure, Suite, Want},
};

fn archive() -> Archive {
    let suite = Suite {
        name: "trixie".to_owned(),
        mirror: "debian".to_owned(),
        only_when_named: false,
        accept_expired: false,
        areas: vec!["main".to_owned()],
    };
    Archive { name: "debian".to_owned(), suites: vec![suite], keyrings: Vec::new() }
}

/// Reads an `InRelease` with one keyring: true when it was taken.
pub fn in_release(keyring: &[u8], bytes: &[u8], now: u64) -> bool {
    let archive = Archive { keyrings: vec![keyring.to_vec()], ..archive() };
    archive.suites.first().is_some_and(|suite| release::read(&archive, suite, bytes, now).is_ok())
}

/// Reads the text of an `InRelease` as if a pinned key had signed it: true when it was taken.
pub fn release_text(text: &str, now: u64) -> bool {
    let archive = archive();
    archive.suites.first().is_some_and(|suite| release::read_text(&archive, suite, text, b"", now).is_ok())
}

/// Reads a compressed index of at most 16 MiB of text: true when it was taken.
pub fn compressed_packages(bytes: &[u8]) -> bool {
    let compression = Compression::of_magic(bytes);
    index::decompress(bytes, compression, 16 << 20).is_ok_and(|text| packages(&text).is_some())
}

/// Reads an index, solves a closure of its first packages, and gives the lock of it; `None` when any of that fails.
pub fn packages(text: &str) -> Option<Lock> {
    let listed = index::read(text, Origin { archive: "debian", suite: "trixie", mirror: "debian" }).ok()?;
    let architecture = Architecture::X86_64;
    let catalogue = Catalogue::new(&listed, architecture);
    let want = |name: &str| Want {
        name: name.to_owned(),
        archive: "debian".to_owned(),
        suite: None,
        version: None,
        without: Vec::new(),
        origin: String::new(),
    };
    let closure = Closure {
        name: "probe".to_owned(),
        architecture,
        purpose: Purpose::Tool,
        packages: listed.entries.iter().take(3).map(|entry| want(entry.name)).collect(),
        without: Vec::new(),
        satisfied: Vec::new(),
    };
    let solved = closure::solve(&closure, &[archive()], (&catalogue, Stock::Archives), None).ok()?;
    let mut resolved = Resolved::default();
    let id = super::document::ClosureId { name: closure.name.clone(), architecture };
    resolved.enter(id, &closure, &solved, &Lock::default());
    let lock = Lock { packages: resolved.packages, closures: resolved.closures, ..Lock::default() };
    for closure in lock.closures.values() {
        lock.conflicts(closure, architecture);
    }
    Some(lock)
}

/// Reads an index of source packages, whatever they are called: true when it was taken.
pub fn sources(text: &str) -> bool {
    let named = |line: &str| line.strip_prefix("Package:").map(str::trim).map(str::to_owned);
    let names: BTreeSet<String> = text.lines().filter_map(named).collect();
    let names = names.iter().map(String::as_str).collect();
    source::read(text, Origin { archive: "debian", suite: "trixie", mirror: "debian" }, &names).is_ok()
}

/// Looks into a package: true when it was taken.
pub fn package(bytes: &[u8]) -> bool {
    control::inspect("probe", bytes).is_ok()
}
