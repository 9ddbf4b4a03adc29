//! Where a component's source comes from, with everything pinned.

use super::{
    fetched::Fetched,
    flat::{Flat, FlatComponent},
    lock_name::source_id,
    pinning::Pinning,
};
use crate::{
    content::{RelPath, Sha256, Url},
    lock::LockedSource,
    recipe::{self, Code, DebianUpstream, Diagnostic, Unpack, UpstreamSource},
};

/// What a component is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its source.
    pub source: SourceTree,
    /// What its build needs of a language's registry.
    pub languages: Option<Fetched>,
}

/// One kind of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceTree {
    /// A file or archive by URL.
    Url(UrlUpstream),
    /// A Debian source package.
    Debian(DebianSource),
    /// A folder beside the recipes, by its path as the recipes know it.
    Folder(String),
    /// What a locked program fetches.
    Fetched(Fetched),
}

/// A source by URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlUpstream {
    /// Where to look, in order; at least one.
    pub urls: Vec<Url>,
    /// What it must be.
    pub sha256: Sha256,
    /// How it is laid out.
    pub unpack: Unpack,
}

/// A Debian source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianSource {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The archive that it comes from: `debian`.
    pub archive: String,
    /// The mirror that has it.
    pub mirror: String,
    /// Its archives, in the order in which they are laid out.
    pub files: Vec<DebianSourceFile>,
}

/// An archive of a Debian source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianSourceFile {
    /// Its path below the mirror's URL.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it must be.
    pub sha256: Sha256,
    /// Where its content is laid; instead of what lies there already.
    pub at: RelPath,
}

impl Upstream {
    /// The SHA-256 of the one file that it is, where it is one.
    pub fn sha256(&self) -> Option<Sha256> {
        match &self.source {
            SourceTree::Url(file) => Some(file.sha256),
            SourceTree::Debian(_) | SourceTree::Folder(_) | SourceTree::Fetched(_) => None,
        }
    }
}

impl Pinning<'_> {
    /// What a component is built from.
    pub(super) fn upstream(&mut self, component: &FlatComponent) -> Option<Upstream> {
        let upstream = component.upstream.as_ref()?;
        let version = component.stated_version();
        let source = match upstream.source.as_ref()? {
            UpstreamSource::Urls(_) => SourceTree::Url(self.url(upstream, version)?),
            UpstreamSource::Debian(debian) => {
                let Some(locked) = self.lock.sources.get(&source_id(debian, version)) else {
                    let message = format!("the lock has no source package `{}`", debian.package.value);
                    let diagnostic = Diagnostic::error(Code::NotLocked, debian.package.span, message);
                    self.diagnostics.push(diagnostic.help("run `brc lock`"));
                    return None;
                };
                SourceTree::Debian(debian_source(debian, locked))
            }
            UpstreamSource::Folder(path) => {
                SourceTree::Folder(path.fill(|brace| self.flat.brace(version, brace))?.to_string())
            }
            UpstreamSource::Git(_) | UpstreamSource::GoModule { .. } => {
                SourceTree::Fetched(self.fetched_source(component)?)
            }
        };
        Some(Upstream { source, languages: self.languages(component) })
    }

    /// The version of a component: its recipe's, else that of the Debian source that was locked for it.
    pub(super) fn version(&self, component: &FlatComponent) -> String {
        let locked = || match component.upstream.as_ref()?.source.as_ref()? {
            UpstreamSource::Debian(debian) => self.lock.sources.get(&source_id(debian, None)),
            _ => None,
        };
        let stated = component.stated_version().map(str::to_owned);
        stated.or_else(|| Some(locked()?.version.clone())).unwrap_or_default()
    }

    /// A source by URL with its braces filled and its digest known.
    pub(super) fn url(&mut self, upstream: &recipe::Upstream, version: Option<&str>) -> Option<UrlUpstream> {
        let Some(sha256) = &upstream.sha256 else {
            let diagnostic = Diagnostic::error(Code::NoSha256, upstream.span, "this upstream has no `sha256`");
            self.diagnostics
                .push(diagnostic.help("write `url \"…\" sha256=\"…\"`, with the digest its maker publishes"));
            return None;
        };
        let unpack = upstream.unpack.map_or(Unpack::Archive, |unpack| unpack.value);
        Some(UrlUpstream { urls: urls(self.flat, upstream, version), sha256: sha256.value, unpack })
    }
}

/// The URLs of an upstream with their braces filled.
pub(super) fn urls(flat: &Flat, upstream: &recipe::Upstream, version: Option<&str>) -> Vec<Url> {
    let Some(UpstreamSource::Urls(urls)) = &upstream.source else { return Vec::new() };
    let filled = urls.iter().filter_map(|url| url.value.fill(|brace| flat.brace(version, brace)));
    filled.map(Url::new).collect()
}

fn debian_source(debian: &DebianUpstream, locked: &LockedSource) -> DebianSource {
    let files = locked.files.iter().map(|(path, file)| DebianSourceFile {
        path: path.clone(),
        size: file.size,
        sha256: file.sha256,
        at: file.at.clone(),
    });
    let mut files: Vec<DebianSourceFile> = files.collect();
    // What lies at the top comes first, and the packaging replaces what upstream brought in its place.
    files.sort_by(|left, right| left.at.cmp(&right.at));
    let (name, archive) = (debian.package.value.clone(), debian.archive.value.name.clone());
    DebianSource { name, version: locked.version.clone(), archive, mirror: locked.mirror.clone(), files }
}
