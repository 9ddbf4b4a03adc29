//! What is asked for: a file, where it may be, and what it must be.

use std::fmt;

use crate::{
    content::{Sha256, Url},
    plan::Located,
};

/// A file that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// What it is, for people: `runc`, `trixie InRelease`.
    pub name: String,
    /// Where it may be.
    pub place: Place,
    /// What it must be.
    pub expect: Expect,
}

/// Where a file may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below each base of a mirror.
    Mirror(Located),
    /// At one of these URLs, in order.
    Urls(Vec<Url>),
}

/// What a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Its SHA-256; without one the caller checks it in another way (a signature).
    pub sha256: Option<Sha256>,
    /// Its size in bytes, where it is known.
    pub size: Option<u64>,
    /// The most bytes that are taken when the size is not known.
    pub limit: u64,
}

impl Expect {
    /// The most bytes that may come.
    pub(super) fn most(&self) -> u64 {
        self.size.unwrap_or(self.limit)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Mirror(located) => write!(f, "{}: {}", located.mirror, located.path),
            Place::Urls(urls) => urls.first().map_or(Ok(()), |url| write!(f, "{url}")),
        }
    }
}
