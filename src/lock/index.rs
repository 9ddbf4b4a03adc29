//! `Packages`: what a suite has (wiki.debian.org/DebianRepository/Format), and all suites together as a catalogue.

use std::{borrow::Cow, collections::BTreeMap, io::Read};

use brc_contract::Architecture;
use deb822_fast::borrowed::{BorrowedParagraph, iter_paragraphs_borrowed};

use crate::content::{RelPath, Sha256};

use super::{
    document::{BuiltFor, Lock, PackageId, Relations},
    relation::{groups, is_name, version_of},
};

/// The most bytes of a compressed index; Debian's largest has 10 MB.
pub(super) const MAX_INDEX_BYTES: u64 = 64 << 20;
/// The most bytes of an index.
const MAX_INDEX_TEXT_BYTES: u64 = 512 << 20;
/// The most memory that decompressing may take; `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 128 << 20;
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
    /// 0 for `required` up to 4 for `optional`: who comes first among those that provide a virtual package.
    pub(super) priority: u8,
    pub(super) depends: [Cow<'a, str>; 2],
    pub(super) provides: Cow<'a, str>,
    pub(super) conflicts: [Cow<'a, str>; 2],
    /// Whether this version is locked and should stay.
    pub(super) locked: bool,
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
pub(super) fn decompress(bytes: &[u8], limit: u64) -> Result<String, IndexError> {
    let limit = limit.min(MAX_INDEX_TEXT_BYTES);
    let wrong = |reason: &str| IndexError { reason: reason.to_owned() };
    let stream = liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, liblzma::stream::CONCATENATED)
        .map_err(|_| wrong("no decoder"))?;
    let decoder = liblzma::read::XzDecoder::new_stream(bytes, stream);
    let mut text = Vec::new();
    let read = decoder.take(limit + 1).read_to_end(&mut text);
    read.map_err(|error| IndexError { reason: format!("xz data that cannot be decompressed ({error})") })?;
    if text.len() as u64 > limit {
        return Err(IndexError { reason: format!("more than {limit} bytes of text") });
    }
    String::from_utf8(text).map_err(|_| wrong("bytes that are not UTF-8"))
}

/// Reads the packages of an index that are for one of the two kinds that brc knows; others are passed over.
pub(super) fn read<'a>(text: &'a str, origin: Origin<'a>) -> Result<Vec<Entry<'a>>, IndexError> {
    let mut entries = Vec::new();
    for paragraph in iter_paragraphs_borrowed(text) {
        let paragraph =
            paragraph.map_err(|error| IndexError { reason: format!("text that is no list of fields ({error})") })?;
        if entries.len() == MAX_PACKAGES {
            return Err(IndexError { reason: format!("more than {MAX_PACKAGES} packages") });
        }
        entries.extend(entry(&paragraph, origin)?);
    }
    Ok(entries)
}

fn entry<'a>(paragraph: &BorrowedParagraph<'a>, origin: Origin<'a>) -> Result<Option<Entry<'a>>, IndexError> {
    let name = paragraph.get_single("Package").unwrap_or("");
    let wrong = |what: &str| IndexError { reason: format!("a package `{}` that {what}", name.escape_debug()) };
    if !is_name(name) {
        return Err(wrong("has no such name"));
    }
    let single = |field: &str| paragraph.get_single(field).map(str::trim);
    let folded = |field: &str| match paragraph.get_field(field) {
        None => Cow::Borrowed(""),
        Some(field) => match field.as_single_line() {
            Some(line) => Cow::Borrowed(line.trim()),
            None => Cow::Owned(field.lines().join(" ")),
        },
    };
    let Some(built_for) = BuiltFor::from_debian(single("Architecture").unwrap_or("")) else { return Ok(None) };
    let path = single("Filename").ok_or_else(|| wrong("has no `Filename`"))?;
    if path.contains(|letter: char| letter.is_ascii_control() || letter == '"' || letter == '\\')
        || RelPath::new(path).is_err()
    {
        return Err(wrong("has a `Filename` that leaves the archive"));
    }
    let version = single("Version").unwrap_or("");
    let version_letter = |letter: char| letter.is_ascii_alphanumeric() || ".+~:-_".contains(letter);
    if version.is_empty() || version.len() > 256 || !version.chars().all(version_letter) {
        return Err(wrong("has no version"));
    }
    Ok(Some(Entry {
        name,
        version,
        built_for,
        archive: origin.archive,
        suite: origin.suite,
        mirror: origin.mirror,
        path,
        size: single("Size").and_then(|size| size.parse().ok()).ok_or_else(|| wrong("has no `Size`"))?,
        sha256: single("SHA256").and_then(|text| Sha256::parse(text).ok()).ok_or_else(|| wrong("has no `SHA256`"))?,
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
    }))
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
pub(super) struct Catalogue<'a> {
    entries: Vec<&'a Entry<'a>>,
    named: BTreeMap<&'a str, Vec<usize>>,
    providing: BTreeMap<&'a str, Vec<(usize, Option<&'a str>)>>,
}

impl<'a> Catalogue<'a> {
    /// Sorts entries by what they are called and what they provide. Of equal packages the first counts.
    pub(super) fn new(entries: impl Iterator<Item = &'a Entry<'a>>, architecture: Architecture) -> Self {
        let mut catalogue = Self { entries: Vec::new(), named: BTreeMap::new(), providing: BTreeMap::new() };
        for entry in entries {
            let fits = entry.built_for == BuiltFor::All || entry.built_for == BuiltFor::Only(architecture);
            if !fits {
                continue;
            }
            let index = catalogue.entries.len();
            catalogue.entries.push(entry);
            catalogue.named.entry(entry.name).or_default().push(index);
            // What cannot be read provides nothing: a package is no worse for a field that nobody needs.
            for relation in groups(&entry.provides, architecture).unwrap_or_default().into_iter().flatten() {
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

    /// The packages that provide this name, with the version of it that they provide.
    pub(super) fn providing(&self, name: &str) -> impl Iterator<Item = (&'a Entry<'a>, Option<&'a str>)> + '_ {
        let indices = self.providing.get(name).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|(index, version)| Some((self.entry(*index)?, *version)))
    }
}
