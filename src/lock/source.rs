//! `Sources`: the source packages of a suite (wiki.debian.org/DebianRepository/Format, dsc(5)), and which is taken.

use std::collections::{BTreeMap, BTreeSet};

use deb822_fast::borrowed::{BorrowedParagraph, iter_paragraphs_borrowed};

use crate::content::{RelPath, Sha256};

use super::{
    document::{LockedSource, LockedSourceFile, SourceId},
    index::{IndexError, Origin, below_mirror},
    relation::{compare, version_of},
    report::Problem,
    wanted::{Archive, WantedSource},
};

/// The most files of a source package; the largest in Debian have a few dozen.
const MAX_FILES: usize = 1000;

/// A source package that could be chosen.
#[derive(Debug, Clone)]
pub(super) struct SourceEntry<'a> {
    name: &'a str,
    version: &'a str,
    origin: Origin<'a>,
    format: &'a str,
    folder: &'a str,
    /// Its files: name, size, digest.
    files: Vec<(&'a str, u64, Sha256)>,
}

/// Reads the source packages of an index that are called by one of `names`.
pub(super) fn read<'a>(
    text: &'a str,
    origin: Origin<'a>,
    names: &BTreeSet<&str>,
) -> Result<Vec<SourceEntry<'a>>, IndexError> {
    let mut entries = Vec::new();
    for paragraph in iter_paragraphs_borrowed(text) {
        let paragraph =
            paragraph.map_err(|error| IndexError { reason: format!("text that is no list of fields ({error})") })?;
        let name = paragraph.get_single("Package").map_or("", str::trim);
        if names.contains(name) {
            entries.push(entry(&paragraph, name, origin)?);
        }
    }
    Ok(entries)
}

fn entry<'a>(
    paragraph: &BorrowedParagraph<'a>,
    name: &'a str,
    origin: Origin<'a>,
) -> Result<SourceEntry<'a>, IndexError> {
    let wrong = |what: &str| IndexError { reason: format!("a source package `{}` that {what}", name.escape_debug()) };
    let single = |field: &str| paragraph.get_single(field).map(str::trim).filter(|text| !text.is_empty());
    let version = single("Version").ok_or_else(|| wrong("has no `Version`"))?;
    let folder = below_mirror(single("Directory").ok_or_else(|| wrong("has no `Directory`"))?);
    let list = paragraph.get_field("Checksums-Sha256").ok_or_else(|| wrong("has no `Checksums-Sha256`"))?;
    let mut files = Vec::new();
    for line in list.lines().iter().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let file = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(sha256), Some(size), Some(file), None) => {
                Sha256::parse(sha256).ok().zip(size.parse().ok()).map(|(sha256, size)| (file, size, sha256))
            }
            _ => None,
        };
        let file = file.ok_or_else(|| wrong("has a list of files that cannot be read"))?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".+~:-_".contains(letter);
        if !file.0.chars().all(plain) || RelPath::new(&path_in(folder, file.0)).is_err() {
            return Err(wrong("has a file that leaves the archive"));
        }
        if files.len() == MAX_FILES {
            return Err(wrong("has too many files"));
        }
        files.push(file);
    }
    Ok(SourceEntry { name, version, origin, format: single("Format").unwrap_or("1.0"), folder, files })
}

fn path_in(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{}/{file}", folder.trim_end_matches('/')) }
}

/// Takes the highest version of the suites in question that is the wanted one, if one is wanted.
pub(super) fn choose(
    wanted: &WantedSource,
    archives: &[Archive],
    entries: &[SourceEntry<'_>],
) -> Result<LockedSource, Problem> {
    let SourceId { archive, suite, name, version } = &wanted.id;
    let problem = |message: String| Problem { origin: wanted.origin.clone(), message };
    let Some(of) = archives.iter().find(|one| one.name == *archive) else {
        return Err(problem(format!("`{name}` is wanted from the archive `{archive}`, which is not declared")));
    };
    if !of.suites.iter().any(|one| one.name == *suite) {
        let message = format!("`{name}` is wanted from the suite `{suite}`, which the archive `{archive}` lacks");
        return Err(problem(message));
    }
    let is_in_suite = |entry: &&SourceEntry<'_>| {
        entry.origin.archive == archive && of.family(suite).any(|one| one.name == entry.origin.suite)
    };
    let named = entries.iter().filter(|entry| entry.name == name && version_of(entry.version).is_some());
    let there: Vec<&SourceEntry<'_>> = named.filter(is_in_suite).collect();
    let fits = there.iter().filter(|entry| version.as_ref().is_none_or(|version| is_version(entry.version, version)));
    let best = fits.reduce(|best, next| if compare(next.version, best.version).is_gt() { next } else { best });
    match best {
        Some(entry) => locked(entry).map_err(problem),
        None if there.is_empty() => Err(problem(format!("no source package `{name}` is in `{suite}` of `{archive}`"))),
        None => {
            let found: BTreeSet<String> = there.iter().map(|entry| format!("`{}`", entry.version)).collect();
            let found: Vec<String> = found.into_iter().collect();
            let version = version.as_deref().unwrap_or_default();
            let message = format!(
                "the source package `{name}` has no version `{version}` in `{suite}`: there is {}; state one of them, \
                 or leave `version` out for the highest",
                found.join(", ")
            );
            Err(problem(message))
        }
    }
}

/// Whether a version is the stated one: as a whole, or without epoch and revision as upstream counts.
fn is_version(version: &str, stated: &str) -> bool {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream);
    version == stated || upstream == stated
}

fn locked(entry: &SourceEntry<'_>) -> Result<LockedSource, String> {
    let mut files = BTreeMap::new();
    for (file, size, sha256) in &entry.files {
        if file.contains(".diff.") {
            return Err(format!(
                "the source package `{}` {} has the format `{}` with `{file}`: expected `3.0 (quilt)` or \
                 `3.0 (native)`; name its archive by `url` and its patches by `patch`",
                entry.name, entry.version, entry.format
            ));
        }
        if file.contains(".tar.") && !file.ends_with(".asc") && place_of(file).is_none() {
            return Err(format!(
                "the source package `{}` {} has `{file}`: expected an archive compressed with gz, bz2, lzma, xz or zst",
                entry.name, entry.version
            ));
        }
        if let Some(at) = place_of(file) {
            files.insert(path_in(entry.folder, file), LockedSourceFile { size: *size, sha256: *sha256, at });
        }
    }
    if !["1.0", "3.0 (quilt)", "3.0 (native)"].contains(&entry.format) || files.is_empty() {
        return Err(format!(
            "the source package `{}` {} has the format `{}`: expected `3.0 (quilt)` or `3.0 (native)`",
            entry.name, entry.version, entry.format
        ));
    }
    Ok(LockedSource {
        version: entry.version.to_owned(),
        suite: entry.origin.suite.to_owned(),
        mirror: entry.origin.mirror.to_owned(),
        files,
    })
}

/// Where the content of a file of a source package belongs, by the file's name; `None` for what is no archive.
pub(super) fn place_of(path: &str) -> Option<RelPath> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, _) =
        name.rsplit_once(".tar.").filter(|(_, suffix)| ["gz", "bz2", "lzma", "xz", "zst"].contains(suffix))?;
    // `NAME_VERSION.orig`, `NAME_VERSION.orig-PART`, `NAME_VERSION.debian`, or a native `NAME_VERSION`.
    if stem.ends_with(".debian") {
        return RelPath::new("debian").ok();
    }
    match stem.rsplit_once(".orig-") {
        Some((_, part)) => RelPath::new(part).ok(),
        None => Some(RelPath::ROOT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_where_its_content_belongs() {
        for (name, at) in [
            ("pool/main/z/zlib/zlib_1.3.orig.tar.gz", Some("")),
            ("a_1.orig-tests.tar.xz", Some("tests")),
            ("a_1-1.debian.tar.xz", Some("debian")),
            ("a_1.tar.zst", Some("")),
            ("a_1.orig.tar.bz2", Some("")),
            ("a_1-1.debian.tar.lzma", Some("debian")),
            ("a_1.tar.Z", None),
            ("a_1-1.dsc", None),
            ("a_1.orig.tar.gz.asc", None),
            ("a_1-1.diff.gz", None),
        ] {
            assert_eq!(place_of(name).as_ref().map(RelPath::as_str), at, "{name}");
        }
    }

    #[test]
    fn a_version_is_stated_as_a_whole_or_as_upstream_counts() {
        for (stated, fits) in
            [("1:1.3-2", true), ("1.3", true), ("1.3-2", false), ("1:1.3", false), ("1.30", false), ("1", false)]
        {
            assert_eq!(is_version("1:1.3-2", stated), fits, "{stated}");
        }
    }
}
