//! `Packages`: what a suite has (wiki.debian.org/DebianRepository/Format), and all suites together as a catalogue.

use std::{borrow::Cow, collections::BTreeMap, io::Read};

use brc_contract::Architecture;
use deb822_fast::borrowed::{BorrowedParagraph, iter_paragraphs_borrowed};

use crate::content::{Compression, RelPath, Sha256};

use super::{
    document::{BuiltFor, BuiltFrom, Lock, PackageId, Relations},
    relation::{is_name, own, version_of},
};

/// The most bytes of a compressed index; Debian's largest has 10 MB.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// The most bytes of an index.
const MAX_INDEX_TEXT_BYTES: u64 = 512 << 20;
/// The most packages of an index.
const MAX_PACKAGES: usize = 1_000_000;

/// A package that could be chosen.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) built_for: BuiltFor,
    pub(super) archive: &'a str,
    pub(super) suite: &'a str,
    pub(super) mirror: &'a str,
    pub(super) path: &'a str,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    /// The name and the version of the source package, as an index states them.
    pub(super) source: Option<(&'a str, &'a str)>,
    /// 0 for `required` up to 4 for `optional`: who comes first among those that provide a virtual package.
    pub(super) priority: u8,
    pub(super) depends: [Cow<'a, str>; 2],
    pub(super) provides: Cow<'a, str>,
    pub(super) conflicts: [Cow<'a, str>; 2],
    /// Whether this version is locked and should stay.
    pub(super) locked: bool,
}

/// A package that is listed in a way that nothing can be made of; it is refused where it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Odd<'a> {
    pub(super) name: &'a str,
    pub(super) built_for: BuiltFor,
    pub(super) suite: &'a str,
    /// What is wrong, as the end of a sentence about it.
    pub(super) reason: &'static str,
}

/// What an index lists.
#[derive(Debug, Default)]
pub(super) struct Listed<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) odd: Vec<Odd<'a>>,
}

/// Where an index comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) archive: &'a str,
    pub(super) suite: &'a str,
    pub(super) mirror: &'a str,
}

/// An index is none that brc reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an index with {reason}")]
pub(super) struct IndexError {
    pub(super) reason: String,
}

/// Decompresses an index to at most `limit` bytes of text (as its `InRelease` states), and never more than 512 MiB.
pub(super) fn decompress(bytes: &[u8], compression: Compression, limit: u64) -> Result<String, IndexError> {
    let limit = limit.min(MAX_INDEX_TEXT_BYTES);
    let unreadable = |error| IndexError {
        reason: format!("data that cannot be decompressed as `{}` ({error})", compression.suffix()),
    };
    let mut text = Vec::new();
    let decoder = compression.decoder(bytes).map_err(unreadable)?;
    decoder.take(limit + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limit {
        return Err(IndexError { reason: format!("more than {limit} bytes of text") });
    }
    String::from_utf8(text).map_err(|_| IndexError { reason: "bytes that are not UTF-8".to_owned() })
}

/// The most bytes that an index may have as it is fetched.
pub(super) const fn most_bytes(compression: Compression) -> u64 {
    match compression {
        Compression::Plain => MAX_INDEX_TEXT_BYTES,
        _ => MAX_INDEX_BYTES,
    }
}

/// A path that an archive states, from the mirror's folder on: `./pool/a` and `/pool/a` are `pool/a`.
pub(super) fn below_mirror(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./").or_else(|| path.strip_prefix('/')) {
        path = rest;
    }
    if path == "." { "" } else { path }
}

/// Reads the packages of an index that are for one of the two kinds that brc knows; others are passed over.
pub(super) fn read<'a>(text: &'a str, origin: Origin<'a>) -> Result<Listed<'a>, IndexError> {
    let mut listed = Listed::default();
    for paragraph in iter_paragraphs_borrowed(text) {
        let paragraph =
            paragraph.map_err(|error| IndexError { reason: format!("text that is no list of fields ({error})") })?;
        if listed.entries.len() + listed.odd.len() == MAX_PACKAGES {
            return Err(IndexError { reason: format!("more than {MAX_PACKAGES} packages") });
        }
        let word = paragraph.get_single("Architecture").map_or("", str::trim);
        let Some(built_for) = BuiltFor::from_debian(word) else { continue };
        let name = paragraph.get_single("Package").map_or("", str::trim);
        match entry(&paragraph, name, built_for, origin) {
            Ok(entry) => listed.entries.push(entry),
            Err(reason) => listed.odd.push(Odd { name, built_for, suite: origin.suite, reason }),
        }
    }
    Ok(listed)
}

/// Reads one package; what makes it one that cannot be chosen, when that is so.
fn entry<'a>(
    paragraph: &BorrowedParagraph<'a>,
    name: &'a str,
    built_for: BuiltFor,
    origin: Origin<'a>,
) -> Result<Entry<'a>, &'static str> {
    if !is_name(name) {
        return Err("has no name that a package may have");
    }
    let single = |field: &str| paragraph.get_single(field).map(str::trim);
    let folded = |field: &str| match paragraph.get_field(field) {
        None => Cow::Borrowed(""),
        Some(field) => match field.as_single_line() {
            Some(line) => Cow::Borrowed(line.trim()),
            None => Cow::Owned(field.lines().join(" ")),
        },
    };
    let path = below_mirror(single("Filename").ok_or("has no `Filename`")?);
    if path.contains(|letter: char| letter.is_ascii_control() || letter == '"' || letter == '\\')
        || RelPath::new(path).is_ok_and(|path| path.is_root())
        || RelPath::new(path).is_err()
    {
        return Err("has a `Filename` that is no path in the archive");
    }
    let version = single("Version").unwrap_or("");
    if !is_plain_version(version) {
        return Err("has no `Version` that can be one");
    }
    let source = match single("Source") {
        None => (name, version),
        Some(field) => source_of(field, version).ok_or("has a `Source` that names no source package")?,
    };
    Ok(Entry {
        name,
        version,
        built_for,
        archive: origin.archive,
        suite: origin.suite,
        mirror: origin.mirror,
        path,
        size: single("Size").and_then(|size| size.parse().ok()).ok_or("has no `Size`")?,
        sha256: single("SHA256").and_then(|text| Sha256::parse(text).ok()).ok_or("has no `SHA256`")?,
        source: Some(source),
        priority: match single("Priority").unwrap_or("") {
            "required" => 0,
            "important" => 1,
            "standard" => 2,
            _ => 4,
        },
        depends: [folded("Pre-Depends"), folded("Depends")],
        provides: folded("Provides"),
        conflicts: [folded("Conflicts"), folded("Breaks")],
        locked: false,
    })
}

/// Whether a text has only letters that a version may have; whether it is one is found out where it is compared.
fn is_plain_version(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || ".+~:-_".contains(letter);
    !text.is_empty() && text.len() <= 256 && text.chars().all(letter)
}

/// The name and version that a field `Source` states: `bash (5.2.37-2)`, or `glibc`, whose version is the package's
/// (Debian Policy, section 5.6.1).
fn source_of<'a>(field: &'a str, version: &'a str) -> Option<(&'a str, &'a str)> {
    let (name, version) = match field.split_once('(') {
        None => (field, version),
        Some((name, rest)) => (name.trim_end(), rest.strip_suffix(')')?.trim()),
    };
    (is_name(name) && is_plain_version(version)).then_some((name, version))
}

/// The packages of a lock, as entries that should stay.
pub(super) fn locked(lock: &Lock) -> impl Iterator<Item = (&PackageId, Entry<'_>)> {
    lock.packages.iter().map(|(id, package)| {
        let entry = Entry {
            name: &id.name,
            version: &id.version,
            built_for: id.built_for,
            archive: &id.archive,
            suite: &package.suite,
            mirror: &package.mirror,
            path: &package.path,
            size: package.size,
            sha256: package.sha256,
            source: None,
            priority: 4,
            depends: [Cow::Borrowed(package.relations.depends.as_str()), Cow::Borrowed("")],
            provides: Cow::Borrowed(package.relations.provides.as_str()),
            conflicts: [Cow::Borrowed(package.relations.conflicts.as_str()), Cow::Borrowed("")],
            locked: true,
        };
        (id, entry)
    })
}

impl Entry<'_> {
    /// How the lock names this package.
    pub(super) fn id(&self) -> PackageId {
        PackageId {
            name: self.name.to_owned(),
            built_for: self.built_for,
            version: self.version.to_owned(),
            archive: self.archive.to_owned(),
        }
    }

    /// The source package as the lock keeps it.
    pub(super) fn built_from(&self) -> BuiltFrom {
        self.source.map_or(BuiltFrom::Unasked, |(name, version)| BuiltFrom::Source {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }

    /// The relations as the lock keeps them.
    pub(super) fn relations(&self) -> Relations {
        let joined = |fields: &[Cow<'_, str>; 2]| {
            let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).filter(|field: &&str| !field.is_empty()).collect();
            fields.join(", ")
        };
        Relations {
            depends: joined(&self.depends),
            provides: self.provides.clone().into_owned(),
            conflicts: joined(&self.conflicts),
        }
    }
}

/// All packages that could be chosen for one architecture.
#[derive(Default)]
pub(super) struct Catalogue<'a> {
    entries: Vec<&'a Entry<'a>>,
    named: BTreeMap<&'a str, Vec<usize>>,
    providing: BTreeMap<&'a str, Vec<(usize, Option<&'a str>)>>,
    odd: BTreeMap<&'a str, Vec<&'a Odd<'a>>>,
}

impl<'a> Catalogue<'a> {
    /// Sorts entries by what they are called and what they provide. Of equal packages the first counts.
    pub(super) fn new(listed: &'a Listed<'a>, architecture: Architecture) -> Self {
        let fits = |built_for| built_for == BuiltFor::All || built_for == BuiltFor::Only(architecture);
        let mut catalogue = Self::default();
        for odd in listed.odd.iter().filter(|odd| fits(odd.built_for)) {
            catalogue.odd.entry(odd.name).or_default().push(odd);
        }
        for entry in listed.entries.iter().filter(|entry| fits(entry.built_for)) {
            let index = catalogue.entries.len();
            catalogue.entries.push(entry);
            catalogue.named.entry(entry.name).or_default().push(index);
            for relation in own(&entry.provides, architecture) {
                let version = relation.bound.map(|bound| bound.version);
                catalogue.providing.entry(relation.name).or_default().push((index, version));
            }
        }
        catalogue
    }

    /// The packages of this name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &'a Entry<'a>> + '_ {
        let indices = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|index| self.entry(*index))
    }

    /// A version that cannot be compared cannot be chosen; it is looked at only here, since reading 70,000 versions
    /// takes longer than everything else together.
    fn entry(&self, index: usize) -> Option<&'a Entry<'a>> {
        self.entries.get(index).copied().filter(|entry| version_of(entry.version).is_some())
    }

    /// The packages of this name that cannot be chosen.
    pub(super) fn odd(&self, name: &str) -> &[&'a Odd<'a>] {
        self.odd.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The packages that provide this name, with the version of it that they provide.
    pub(super) fn providing(&self, name: &str) -> impl Iterator<Item = (&'a Entry<'a>, Option<&'a str>)> + '_ {
        let indices = self.providing.get(name).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|(index, version)| Some((self.entry(*index)?, *version)))
    }
}

impl std::fmt::Display for Odd<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` lists a package `{}` that {}", self.suite, self.name.escape_debug(), self.reason)
    }
}
