//! `InRelease`: the signed list of a suite's indices (wiki.debian.org/DebianRepository/Format, apt-secure(8)).

use std::collections::BTreeMap;

use deb822_fast::Deb822;

use crate::content::{Sha256, date_text, parse_rfc5322};

use super::{
    cleartext,
    index::below_mirror,
    keyring::{CLOCK_SKEW_SECONDS, Keyring},
    refusal::ArchiveError,
    wanted::{Archive, Suite},
};

/// The most bytes of an `InRelease`; Debian's largest has a quarter of a megabyte.
pub(super) const MAX_IN_RELEASE_BYTES: u64 = 8 << 20;

/// What a good `InRelease` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    /// Its `Date`, seconds since 1970.
    pub(super) date: u64,
    /// Whether it says how long it is valid.
    pub(super) expires: bool,
    /// The SHA-256 of the whole file.
    pub(super) sha256: Sha256,
    /// Whether indices can be fetched by their digest, which no half-updated mirror can get wrong.
    pub(super) by_hash: bool,
    /// Whether packages for all architectures are listed in an index of their own only.
    pub(super) separate_all: bool,
    /// Its indices by path below the suite's folder.
    pub(super) files: BTreeMap<String, ReleaseFile>,
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReleaseFile {
    pub(super) sha256: Sha256,
    pub(super) size: u64,
}

impl Release {
    /// Whether it lists packages of a component for an architecture, in Debian's words.
    pub(super) fn has_packages(&self, component: &str, architecture: &str) -> bool {
        let index = format!("{component}/binary-{architecture}/Packages");
        self.files.range(index.clone()..).next().is_some_and(|(path, _)| path.starts_with(&index))
    }
}

/// Checks an `InRelease` against the pinned keyrings and what was asked for, and reads it.
///
/// `now` is seconds since 1970.
pub(super) fn read(archive: &Archive, suite: &Suite, bytes: &[u8], now: u64) -> Result<Release, Box<ArchiveError>> {
    let text = signed_text(&archive.keyrings, bytes, now).map_err(|reason| reason.about(archive, suite))?;
    read_text(archive, suite, &text, bytes, now)
}

/// Reads the text that was signed; `bytes` is the whole file.
pub(super) fn read_text(
    archive: &Archive,
    suite: &Suite,
    text: &str,
    bytes: &[u8],
    now: u64,
) -> Result<Release, Box<ArchiveError>> {
    let read = || {
        let fields = Fields::read(text)?;
        fields.check_name(suite)?;
        Ok(Release {
            date: fields.check_dates(suite, now)?,
            expires: fields.get("Valid-Until").is_some(),
            sha256: Sha256::of(bytes),
            by_hash: fields.get("Acquire-By-Hash") == Some("yes"),
            separate_all: fields.get("No-Support-for-Architecture-all") != Some("Packages")
                && fields.get("Architectures").unwrap_or("").split_ascii_whitespace().any(|name| name == "all"),
            files: fields.files()?,
        })
    };
    read().map_err(|reason: Refusal| reason.about(archive, suite))
}

/// One reason, before it is known which archive it is about.
struct Refusal {
    expected: String,
    found: String,
    next: &'static str,
}

impl Refusal {
    fn about(self, archive: &Archive, suite: &Suite) -> Box<ArchiveError> {
        Box::new(ArchiveError {
            archive: format!("{} {}", archive.name, suite.name),
            what: "InRelease".to_owned(),
            expected: self.expected,
            found: self.found,
            next: self.next.to_owned(),
        })
    }
}

const OTHER_MIRROR: &str = "try another mirror; if they all say so, do not trust this archive";

fn refusal(expected: impl Into<String>, found: impl Into<String>, next: &'static str) -> Refusal {
    Refusal { expected: expected.into(), found: found.into(), next }
}

/// The text that a pinned key signed. Nothing outside the signed block reaches anybody.
fn signed_text(keyrings: &[Vec<u8>], bytes: &[u8], now: u64) -> Result<String, Refusal> {
    let expected = "one OpenPGP cleartext signature by a pinned key";
    if bytes.len() as u64 > MAX_IN_RELEASE_BYTES {
        return Err(refusal(format!("at most {MAX_IN_RELEASE_BYTES} bytes"), bytes.len().to_string(), OTHER_MIRROR));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| refusal("UTF-8 text", "other bytes", OTHER_MIRROR))?;
    let message = cleartext::read(text).map_err(|error| refusal(expected, error.found, OTHER_MIRROR))?;
    let next = "renew the pinned keyring if the archive changed its keys; otherwise do not trust this mirror";
    let keyring = Keyring::read(keyrings).map_err(|error| refusal("readable pinned keyrings", error.reason, next))?;
    match keyring.verify(&message, now) {
        Ok(()) => Ok(message.text),
        Err(error) => Err(refusal(expected, error.reason, next)),
    }
}

/// The fields of the signed text.
struct Fields {
    values: BTreeMap<String, String>,
}

impl Fields {
    /// Reads the one paragraph that an `InRelease` has.
    fn read(text: &str) -> Result<Self, Refusal> {
        let expected = "one paragraph of fields, each once";
        let file: Deb822 = text.parse().map_err(|_| refusal(expected, "other text", OTHER_MIRROR))?;
        let mut paragraphs = file.iter();
        let (Some(paragraph), None) = (paragraphs.next(), paragraphs.next()) else {
            return Err(refusal(expected, format!("{} paragraphs", file.len()), OTHER_MIRROR));
        };
        let mut values = BTreeMap::new();
        for (name, value) in paragraph.iter() {
            if values.insert(name.to_owned(), value.trim().to_owned()).is_some() {
                return Err(refusal(expected, format!("`{name}` twice"), OTHER_MIRROR));
            }
        }
        Ok(Self { values })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A signed file of another suite is a downgrade in disguise.
    fn check_name(&self, suite: &Suite) -> Result<(), Refusal> {
        let names = ["Suite", "Codename"].map(|field| self.get(field).unwrap_or("-"));
        if names.contains(&suite.name.as_str()) {
            return Ok(());
        }
        let [suite_name, codename] = names;
        Err(refusal(format!("the suite `{}`", suite.name), format!("`{suite_name}` (`{codename}`)"), OTHER_MIRROR))
    }

    /// Gives the `Date`, when it and `Valid-Until` are in order.
    fn check_dates(&self, suite: &Suite, now: u64) -> Result<u64, Refusal> {
        let next = "look at this machine's clock, or try another mirror";
        let read = |field: &str, text: &str| {
            let found = || refusal("a date as RFC 5322 writes it, in UTC", format!("`{field}: {text}`"), OTHER_MIRROR);
            parse_rfc5322(text).ok_or_else(found)
        };
        let date = read("Date", self.get("Date").unwrap_or(""))?;
        if date > now.saturating_add(CLOCK_SKEW_SECONDS) {
            let found = format!("`Date: {}`", date_text(date));
            return Err(refusal(format!("a date up to now ({})", date_text(now)), found, next));
        }
        if let Some(text) = self.get("Valid-Until")
            && !suite.accept_expired
        {
            let end = read("Valid-Until", text)?;
            if end <= now {
                let next = "try another mirror; for an archive that is frozen on purpose write `accept-expired=#true` \
                            at the suite";
                let expected = format!("an archive that is valid now ({})", date_text(now));
                return Err(refusal(expected, format!("`Valid-Until: {}`", date_text(end)), next));
            }
        }
        Ok(date)
    }

    /// The list of indices with their SHA-256; MD5 and SHA-1 lists are not looked at.
    fn files(&self) -> Result<BTreeMap<String, ReleaseFile>, Refusal> {
        let expected = "a `SHA256` list of lines with digest, size and path";
        let list = self.get("SHA256").ok_or_else(|| refusal(expected, "none", OTHER_MIRROR))?;
        let mut files = BTreeMap::new();
        for line in list.lines().filter(|line| !line.trim().is_empty()) {
            let wrong = || refusal(expected, format!("`{line}`"), OTHER_MIRROR);
            let mut words = line.split_ascii_whitespace();
            let (Some(sha256), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(wrong());
            };
            let sha256 = Sha256::parse(sha256).map_err(|_| wrong())?;
            let size = size.parse().map_err(|_| wrong())?;
            if files
                .insert(below_mirror(path).to_owned(), ReleaseFile { sha256, size })
                .is_some_and(|old| old.sha256 != sha256)
            {
                return Err(wrong());
            }
        }
        Ok(files)
    }
}
