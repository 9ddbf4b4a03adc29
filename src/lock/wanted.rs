//! What recipes want locked, in the lock's own words: `graph` and `compose` translate.

use std::collections::BTreeMap;

use brc_contract::Architecture;

use super::document::{ClosureId, IdentityKind, Lock, LockedSet, Purpose, SourceId, TreeId, TreeKind};
use crate::content::{Digest, Sha256, Url};

/// Everything that a project wants pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The recipe sets from elsewhere that the recipes were read with.
    pub sets: BTreeMap<String, LockedSet>,
    /// The Debian archives that packages come from.
    pub archives: Vec<Archive>,
    /// The sets of packages, one per variant and architecture and one per tool set.
    pub closures: Vec<Closure>,
    /// The tool sets of machines of other architectures. They are locked where they can be, so that the lock is the
    /// same whichever machine makes it.
    pub elsewhere: Vec<Closure>,
    /// Debian source packages.
    pub sources: Vec<WantedSource>,
    /// Upstreams that are files by URL.
    pub urls: Vec<WantedUrl>,
    /// Trees that a locked program fetches.
    pub trees: Vec<WantedTree>,
    /// Packages that must have one version.
    pub same_versions: Vec<SameVersion>,
    /// Users and groups that components declare, beside those that packages ask for.
    pub users: Vec<WantedUser>,
}

impl Wanted {
    /// The sets of packages: those that must be had, then those that are wanted elsewhere.
    pub(super) fn every_closure(&self) -> impl Iterator<Item = &Closure> {
        self.closures.iter().chain(&self.elsewhere)
    }

    /// A set of packages by its place among all.
    pub(super) fn closure(&self, place: usize) -> Option<&Closure> {
        self.closures.get(place).or_else(|| self.elsewhere.get(place.checked_sub(self.closures.len())?))
    }
}

/// A Debian archive: suites that are signed by the same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name in recipes: `debian`.
    pub name: String,
    /// Its suites. Those that are not `only_when_named` make up the set that packages are chosen from.
    pub suites: Vec<Suite>,
    /// The pinned keyrings: OpenPGP certificates, armoured or not.
    pub keyrings: Vec<Vec<u8>>,
}

impl Archive {
    /// A suite with its `-updates` and `-security`.
    pub(super) fn family(&self, named: &str) -> impl Iterator<Item = &Suite> {
        self.suites
            .iter()
            .filter(move |suite| matches!(suite.name.strip_prefix(named), Some("" | "-updates" | "-security")))
    }
}

/// A suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name below `dists/`: `trixie`, `trixie-security`.
    pub name: String,
    /// The mirror that serves it: `debian`, `debian-security`.
    pub mirror: String,
    /// Whether packages come from it only where a recipe names it.
    pub only_when_named: bool,
    /// Whether a `Valid-Until` that has passed is accepted (a frozen mirror, a vendored folder).
    pub accept_expired: bool,
    /// The archive areas that are read: `main`.
    pub areas: Vec<String>,
}

/// A set of packages that is solved as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// Its name, unique together with the architecture: `variant quickstart`, `tool kernel-tools`.
    pub name: String,
    /// The architecture of its packages (those for all architectures come along).
    pub architecture: Architecture,
    /// What it is for.
    pub purpose: Purpose,
    /// The packages that recipes name.
    pub packages: Vec<Want>,
    /// Names that end every dependency on them, throughout the closure.
    pub without: Vec<Pruned>,
    /// Packages that a component stands in for: name and version, from `satisfies debian=`.
    pub satisfied: Vec<(String, String)>,
}

/// A package that a recipe names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Its name.
    pub name: String,
    /// The archive it comes from.
    pub archive: String,
    /// The suite, with its `-updates` and `-security`; `None` means every suite that needs no naming.
    pub suite: Option<String>,
    /// Exactly this version; `None` means the highest.
    pub version: Option<String>,
    /// Names that end this package's own dependencies on them.
    pub without: Vec<String>,
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}

/// A package that is left out of a closure although others depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Its name.
    pub name: String,
    /// Why it is not needed.
    pub reason: String,
}

/// A Debian source package that a component is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSource {
    /// What is asked for.
    pub id: SourceId,
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}

/// An upstream that is a file by URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedUrl {
    /// The URL that the recipe states.
    pub url: Url,
    /// The SHA-256 that the recipe states.
    pub sha256: Sha256,
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}

/// A tree that a locked program fetches for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTree {
    /// The component, with its set.
    pub component: String,
    /// What kind of tree it is.
    pub kind: TreeKind,
    /// The digest of what recipes and files beside them say of it.
    pub question: Digest,
    /// The Debian source package whose files decide what is fetched.
    pub source: Option<SourceId>,
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}

impl WantedTree {
    /// What the lock calls this tree, once it has the source package.
    pub fn id(&self, lock: &Lock) -> TreeId {
        let mut question = format!("{}\n", self.question);
        if let Some(source) = self.source.as_ref().and_then(|id| lock.sources.get(id)) {
            question.extend(source.files.values().map(|file| format!("{}\n", file.sha256)));
        }
        let question = Digest::of(question.as_bytes());
        TreeId { component: self.component.clone(), kind: self.kind, question }
    }
}

/// Packages that must have one version wherever they are in some closures: a compiler and the library of its own that
/// it links for another architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameVersion {
    /// Their names.
    pub packages: Vec<String>,
    /// The tool set, and what is linked with it.
    pub closures: [ClosureId; 2],
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}

/// A user or group that a component declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedUser {
    /// What it is. A user has a group of the same name.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// The number that the recipe fixes for user and group; `None` lets the lock give one.
    pub id: Option<u32>,
    /// Where the recipe says so: `FILE:LINE`.
    pub origin: String,
}
