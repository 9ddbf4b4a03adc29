//! The lock: everything that images and tools are made of, each with the digest it must have.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::Architecture;

use crate::{
    content::{Digest, RelPath, Sha256, Url},
    recipe::SetSource,
};

/// The digits of a commit or digest that people are shown.
const SHORT_PIN_DIGITS: usize = 12;

/// What is pinned. Sorted throughout, so that equal locks are equal texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// Seconds since 1970 of the newest archive: the time that everything made from this lock shows. 0 without archives.
    pub epoch: u64,
    /// Recipe sets that lie elsewhere, by the names of their imports.
    pub sets: BTreeMap<String, LockedSet>,
    /// What was read of each archive, by its name and the suite's.
    pub suites: BTreeMap<(String, String), LockedSuite>,
    /// The packages of all closures.
    pub packages: BTreeMap<PackageId, Package>,
    /// The closures.
    pub closures: BTreeMap<ClosureId, LockedClosure>,
    /// Debian source packages, by what was asked for.
    pub sources: BTreeMap<SourceId, LockedSource>,
    /// Files by URL.
    pub urls: BTreeMap<Url, Sha256>,
    /// Trees that a locked program fetched.
    pub trees: BTreeMap<TreeId, Digest>,
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Groups by name; each user's own group of the same name is not repeated here.
    pub groups: BTreeMap<String, Group>,
}

/// A recipe set that lies elsewhere, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSet {
    /// What recipes say of it. Where they say something else, it is looked for anew.
    pub source: SetSource,
    /// What was found: the commit; of an artifact the SHA-256 of its manifest.
    pub pin: String,
    /// The digest of its files, which decides whoever serves them.
    pub tree: Digest,
}

/// The state of a suite that packages were last chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSuite {
    /// The `Date` of its `InRelease`, seconds since 1970.
    pub date: u64,
    /// The SHA-256 of its `InRelease`.
    pub sha256: Sha256,
}

/// What a binary package was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltFor {
    /// Every architecture (`Architecture: all`).
    All,
    /// One architecture.
    Only(Architecture),
}

/// The source package that a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuiltFrom {
    /// As the signed index states it.
    Source {
        /// Its name: often another one than the package's.
        name: String,
        /// Its version: without the `+b1` of a package that was only built again.
        version: String,
    },
    /// The archive was asked, and lists the package no more.
    Unlisted,
    /// Nobody has asked yet: locks of the first version do not say it.
    Unasked,
}

/// One binary package of one archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    /// Its name.
    pub name: String,
    /// What it was built for.
    pub built_for: BuiltFor,
    /// Its version.
    pub version: String,
    /// The archive it comes from.
    pub archive: String,
}

/// What is known of a locked package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The suite that it was chosen from.
    pub suite: String,
    /// The mirror that serves it: `debian`, `debian-security`.
    pub mirror: String,
    /// Its path below the mirror's URL.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 that the signed index states.
    pub sha256: Sha256,
    /// What it was built from.
    pub built_from: BuiltFrom,
    /// How it stands to other packages. Kept, so that a package that left the archive can still be reasoned about.
    pub relations: Relations,
    /// What was found in the package; `None` when no image holds it, so that nobody has looked.
    pub contents: Option<Contents>,
}

/// The relationship fields of a package as its index writes them, on one line each; empty when absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// `Pre-Depends` and `Depends`, joined by a comma.
    pub depends: String,
    /// `Provides`.
    pub provides: String,
    /// `Conflicts` and `Breaks`, joined by a comma.
    pub conflicts: String,
}

/// What the lock has read inside a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its licences as an SPDX expression, from its machine-readable copyright file, or `NOASSERTION`.
    pub license: String,
    /// Its maintainer scripts: `preinst`, `postinst`, `prerm`, `postrm`, `config`.
    pub scripts: BTreeSet<String>,
    /// The users and groups that it asks for, in `sysusers.d` or as base-passwd's master files.
    pub identities: BTreeSet<Identity>,
}

/// A user or group that a package asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// What it is.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// Its number as sysusers.d(5) writes it: `-`, `4`, `0:0`, `-:adm`.
    pub id: String,
}

/// Whether a name is a user's (who has a group of the same name or another) or a group's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// A group.
    Group,
    /// A user.
    User,
}

/// A closure is named by its name and architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClosureId {
    /// `variant quickstart`, `tool kernel-tools`.
    pub name: String,
    /// The architecture of its packages.
    pub architecture: Architecture,
}

/// What a closure is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// For an image: the packages are looked into for maintainer scripts and users.
    Image,
    /// For a sandbox: only versions and digests are pinned.
    Tool,
    /// For its content alone, a kernel's source: the named packages, and nothing that they depend on.
    Source,
    /// A finished kernel: the named packages, and of what they depend on only kernels and modules; the rest serves
    /// their maintainer scripts.
    Kernel,
}

/// A closure as it was solved, with what was asked for, so that a change of the question is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedClosure {
    /// What it is for.
    pub purpose: Purpose,
    /// What recipes named, by package name.
    pub wants: BTreeMap<String, LockedWant>,
    /// What was left out.
    pub without: BTreeSet<String>,
    /// What components stand in for.
    pub satisfied: BTreeMap<String, String>,
    /// The packages, each with the member that brought it in, or `None` when a recipe names it.
    pub members: BTreeMap<PackageId, Option<String>>,
}

/// A package that a recipe named when the closure was solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedWant {
    /// The archive.
    pub archive: String,
    /// The suite, when it was named.
    pub suite: Option<String>,
    /// The version, when it was stated.
    pub version: Option<String>,
    /// What this package's own dependencies were pruned of.
    pub without: BTreeSet<String>,
}

/// What a recipe asks of an archive's source packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// The name of the package.
    pub name: String,
    /// The archive it comes from.
    pub archive: String,
    /// The suite, with its `-updates` and `-security`.
    pub suite: String,
    /// The version, or what of it upstream counts; the highest when it is not said.
    pub version: Option<String>,
}

/// A Debian source package as it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSource {
    /// Its version.
    pub version: String,
    /// The suite that it was chosen from.
    pub suite: String,
    /// The mirror that serves it.
    pub mirror: String,
    /// Its archives, by the path below the mirror's URL.
    pub files: BTreeMap<String, LockedSourceFile>,
}

/// An archive of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSourceFile {
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 that the signed index states.
    pub sha256: Sha256,
    /// Where its content belongs, as its name says.
    pub at: RelPath,
}

/// A tree that a locked program fetches for a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId {
    /// The component, with its set.
    pub component: String,
    /// What kind of tree it is.
    pub kind: TreeKind,
    /// The digest of everything that decides what is fetched.
    pub question: Digest,
}

/// The kinds of trees that locked programs fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TreeKind {
    /// The crates of a `Cargo.lock`.
    Crates,
    /// A commit of a git repository.
    Git,
    /// The source of a Go module.
    GoModule,
    /// The Go modules of a `go.sum`.
    GoModules,
}

/// Whether a user or group is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Something asks for it.
    Active,
    /// Nothing asks for it any more; its number stays taken, since `/var` of running machines outlives releases.
    Retired,
}

/// The numbers of a user, given once and never to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Whether it is in use.
    pub standing: Standing,
}

/// The number of a group, given once and never to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The group's number.
    pub gid: u32,
    /// Whether it is in use.
    pub standing: Standing,
}

impl TreeKind {
    /// Every kind.
    pub(super) const ALL: [TreeKind; 4] = [TreeKind::Crates, TreeKind::Git, TreeKind::GoModule, TreeKind::GoModules];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            TreeKind::Crates => "crates",
            TreeKind::Git => "git",
            TreeKind::GoModule => "go-module",
            TreeKind::GoModules => "go-modules",
        }
    }
}

impl LockedSet {
    /// It as people say it: `v0.4.0 (1f2e3d4c5b6a)`.
    pub fn version(&self) -> String {
        let pin = self.pin.get(..SHORT_PIN_DIGITS).unwrap_or(&self.pin);
        format!("{} ({pin})", self.source.version())
    }
}

impl BuiltFor {
    /// The name that Debian uses: `all`, `amd64`, `arm64`.
    pub const fn debian(self) -> &'static str {
        match self {
            BuiltFor::All => "all",
            BuiltFor::Only(architecture) => architecture.debian(),
        }
    }

    /// Reads Debian's name; `None` for architectures that images are not made for.
    pub fn from_debian(name: &str) -> Option<Self> {
        match name {
            "all" => Some(BuiltFor::All),
            "amd64" => Some(BuiltFor::Only(Architecture::X86_64)),
            "arm64" => Some(BuiltFor::Only(Architecture::Aarch64)),
            _ => None,
        }
    }
}

impl Lock {
    /// The closure with this name and architecture.
    pub fn closure(&self, name: &str, architecture: Architecture) -> Option<&LockedClosure> {
        self.closures.get(&ClosureId { name: name.to_owned(), architecture })
    }

    /// The number of a group in use; a user's own group has the user's name.
    pub fn gid(&self, name: &str) -> Option<u32> {
        let group = self.groups.get(name).filter(|group| group.standing == Standing::Active);
        let user = self.users.get(name).filter(|user| user.standing == Standing::Active);
        group.map(|group| group.gid).or(user.map(|user| user.gid))
    }

    /// The packages of a closure, sorted by name.
    pub fn packages_of<'a>(&'a self, closure: &'a LockedClosure) -> impl Iterator<Item = (&'a PackageId, &'a Package)> {
        closure.members.keys().filter_map(|id| self.packages.get_key_value(id))
    }
}

impl LockedClosure {
    /// The chain of package names from one that a recipe names to `package`; empty when it is not in the closure.
    pub fn chain(&self, package: &str) -> Vec<String> {
        let mut chain: Vec<String> = Vec::new();
        let mut next = Some(package.to_owned());
        while let Some(name) = next.take() {
            let Some(parent) = self.parent(&name) else { break };
            if chain.contains(&name) {
                break;
            }
            chain.push(name);
            next.clone_from(parent);
        }
        chain.reverse();
        chain
    }
    /// The member that brought `package` in; `Some(None)` when a recipe names it, `None` when it is no member.
    fn parent(&self, package: &str) -> Option<&Option<String>> {
        let first = PackageId {
            name: package.to_owned(),
            built_for: BuiltFor::All,
            version: String::new(),
            archive: String::new(),
        };
        self.members.range(first..).next().filter(|(id, _)| id.name == package).map(|(_, parent)| parent)
    }
}
