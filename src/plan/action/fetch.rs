//! What comes from outside: a locked upstream becomes a tree.

use crate::{
    content::{RelPath, Sha256, Url},
    plan::walk::{Kind, Walk, names},
};

/// A locked upstream. Keyed by digest and by how it is laid out, never by where it is fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fetch {
    /// A Debian package. Outputs: `data` (what it installs), `control` (its control files).
    Debian(DebianPackage),
    /// A Debian source package. Output: `data`.
    DebianSource(DebianSource),
    /// A file by URL. Output: `data`.
    Url(UrlFile),
}

/// A binary package of a Debian archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DebianPackage {
    /// Its name, for people.
    pub name: String,
    /// The SHA-256 that the signed index states.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is: archive, mirror name and pool path. Not part of the key.
    pub located: Located,
}

/// A source package of a Debian archive, of format 3.0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DebianSource {
    /// Its name, for people.
    pub name: String,
    /// Its archives, in the order in which they are laid out.
    pub files: Vec<SourceArchive>,
}

/// One archive of a source package.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceArchive {
    /// The SHA-256 that the signed index states.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Where its content is laid, without its single top folder if it has one, instead of what lies there already.
    pub at: RelPath,
    /// Where it is. Not part of the key.
    pub located: Located,
}

/// Where a package lies in an archive; which server serves the archive is configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Located {
    /// The mirror's name: `debian`, `debian-security`.
    pub mirror: String,
    /// The path below the mirror's URL: `pool/main/r/runc/runc_1.1.15_amd64.deb`.
    pub path: String,
}

/// A file by URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlFile {
    /// Its SHA-256.
    pub sha256: Sha256,
    /// The name it gets when it is not extracted.
    pub name: String,
    /// Where to look, in order: `https:`, `http:` or `file:`. Not part of the key.
    pub urls: Vec<Url>,
    /// How it is laid out.
    pub extract: Extract,
}

/// How a fetched file is laid out as a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extract {
    /// As one file.
    Keep,
    /// As the content of a tar archive (plain, gz, xz, zst), without its single top folder if it has one.
    Archive,
}

impl<T> Kind<T> for Fetch {
    type With<U> = Fetch;

    fn kind(&self) -> (&'static str, u64) {
        match self {
            Fetch::Debian(_) => ("fetch debian", 1),
            Fetch::DebianSource(_) => ("fetch debian source", 1),
            Fetch::Url(_) => ("fetch url", 1),
        }
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Fetch, E> {
        Ok(match self {
            Fetch::Debian(package) => Fetch::Debian(DebianPackage {
                name: walk.label(&package.name),
                sha256: walk.sha256("sha256", package.sha256),
                size: walk.number("size", package.size),
                located: walk.label(&package.located),
            }),
            Fetch::DebianSource(source) => Fetch::DebianSource(DebianSource {
                name: walk.label(&source.name),
                files: source.files.iter().map(|file| file.walk(walk)).collect(),
            }),
            Fetch::Url(file) => Fetch::Url(file.walk(walk)),
        })
    }

    fn outputs(&self) -> Vec<String> {
        match self {
            Fetch::Debian(_) => names(&["control", "data"]),
            Fetch::DebianSource(_) | Fetch::Url(_) => names(&["data"]),
        }
    }
}

impl SourceArchive {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> SourceArchive {
        SourceArchive {
            sha256: walk.sha256("sha256", self.sha256),
            size: walk.number("size", self.size),
            at: walk.path("at", &self.at),
            located: walk.label(&self.located),
        }
    }
}

impl UrlFile {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> UrlFile {
        UrlFile {
            sha256: walk.sha256("sha256", self.sha256),
            // What is unpacked shows its name nowhere.
            name: match self.extract {
                Extract::Keep => walk.text("keep", &self.name),
                Extract::Archive => walk.label(&self.name),
            },
            urls: walk.label(&self.urls),
            extract: match self.extract {
                Extract::Keep => Extract::Keep,
                Extract::Archive => {
                    walk.word("extract", "archive");
                    Extract::Archive
                }
            },
        }
    }
}
