//! One variant for one architecture, with nothing left open: what the plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::{Architecture, ImageName, settings::ImageSettings, well_known};

use super::{Install, Placed, Role, Stated, Upstream, UrlUpstream};
use crate::{
    content::{Digest, Glob, RelPath, Sha256},
    recipe::{ArtifactCompression, ArtifactKind, BuildSystem, Modules},
};

/// Everything that is known about one image before anything is built.
#[derive(Debug, Clone)]
pub struct Image {
    /// The variant's name without its set: `quickstart`.
    pub variant: String,
    /// The image's version.
    pub version: String,
    /// The architecture it runs on.
    pub architecture: Architecture,
    /// The platform it runs on: `qemu`.
    pub platform: String,
    /// The archives' packages in it, with all that they depend on, by name.
    pub packages: Vec<Package>,
    /// What else is in it: every component after those it needs.
    pub components: Vec<Component>,
    /// Components that are built for the image and that it does not have.
    pub beside: Vec<Component>,
    /// The architecture of the machine that composes: what runs while building is for it.
    pub execution: Architecture,
    /// What builds it, by the name of the component that `build-with` or `tool` names.
    pub toolsets: BTreeMap<String, Toolset>,
    /// What each built component is linked with, by its name.
    pub sysroots: BTreeMap<String, Sysroot>,
    /// Which tool set does what brc itself needs done.
    pub roles: BTreeMap<Role, String>,
    /// The kernel.
    pub kernel: Kernel,
    /// What the image says of settings; nothing when nothing in it reads them.
    pub settings: Option<ImageSettings>,
    /// The words that recipes add to the kernel's command line, in order.
    pub kernel_arguments: Vec<String>,
    /// What recipes say and only the finished root can show.
    pub stated: Stated,
    /// The shell scripts that run over the merged root, in order.
    pub finish: Vec<Finish>,
    /// What of the archives' packages is left out.
    pub drop: Vec<Dropped>,
    /// The disk.
    pub layout: Layout,
    /// The files that it is published as, [`Artifact::DISK`] among them.
    pub artifacts: BTreeSet<Artifact>,
    /// The users and groups of the image, by name, with the numbers that the lock gave them.
    pub users: Vec<User>,
    /// The newest date of the locked archives, in seconds since 1970: the time that the files of the root and of the
    /// ESP show. Nothing that is built sees it.
    pub epoch: u64,
}

/// One component of an image.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name with its set: `brc/containerd`.
    pub name: String,
    /// Its version, empty where it has none.
    pub version: String,
    /// Its licence expression, empty where none is said.
    pub license: String,
    /// The files that its recipe states.
    pub files: Vec<Placed>,
    /// How it is built, if it is.
    pub recipe: Option<BuildRecipe>,
    /// The tree of a developer's own folder that takes the place of its source.
    pub checkout: Option<Digest>,
}

/// How a component is built from source.
#[derive(Debug, Clone)]
pub struct BuildRecipe {
    /// What it is built from.
    pub upstream: Option<Upstream>,
    /// Patches in order, by the path of the local file.
    pub patches: Vec<String>,
    /// The tool sets that are there while it is built.
    pub tools: Vec<String>,
    /// Its steps, in order; one shell runs them all.
    pub steps: Vec<BuildStep>,
    /// Which built files become part of the image, besides what steps leave in `$out`.
    pub installs: Vec<Install>,
    /// What of `$out` does not.
    pub drop: Vec<Glob>,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStep {
    /// A piece of shell.
    Shell(String),
    /// A build system, called for the target.
    System {
        /// Which.
        system: BuildSystem,
        /// What else it is told.
        arguments: Vec<String>,
    },
}

/// Programs that run while something is made, never in the image.
#[derive(Debug, Clone)]
pub struct Toolset {
    /// Its name with its set.
    pub name: String,
    /// The architecture its programs run on.
    pub architecture: Architecture,
    /// The locked packages.
    pub packages: Vec<Package>,
    /// What of them is left out.
    pub drop: Vec<Dropped>,
    /// Files that recipes state.
    pub files: Vec<Placed>,
}

/// What a component is linked with: content of the target, laid at `/sysroot` while it is built.
#[derive(Debug, Clone)]
pub struct Sysroot {
    /// The locked packages.
    pub packages: Vec<Package>,
    /// What of them is left out.
    pub drop: Vec<Dropped>,
    /// What recipes make or state, each after what it needs.
    pub components: Vec<Component>,
}

/// A locked Debian package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The archive that it comes from: `debian`.
    pub archive: String,
    /// What it was built for, as Debian writes it: `all`, `amd64`.
    pub built_for: &'static str,
    /// The source package that it was built from, by name and version, where the lock knows it.
    pub source: Option<(String, String)>,
    /// Its licence expression, or `NOASSERTION`.
    pub license: String,
    /// The SHA-256 from the signed index.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// The mirror that has it.
    pub mirror: String,
    /// Its path below the mirror's URL.
    pub path: String,
}

/// What of packages is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    /// The paths.
    pub glob: Glob,
    /// The one package of which they are left out; of all where none is said.
    pub from: Option<String>,
}

impl Dropped {
    /// What of one package is left out.
    pub fn of(all: &[Dropped], package: &str) -> Vec<Glob> {
        let fits = |dropped: &&Dropped| dropped.from.as_ref().is_none_or(|from| from == package);
        all.iter().filter(fits).map(|dropped| dropped.glob.clone()).collect()
    }
}

/// The kernel of an image: built from source, or finished.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its name with its set.
    pub name: String,
    /// Its version: what the recipe says, else its package's.
    pub version: String,
    /// Its licence expression, empty where none is said.
    pub license: String,
    /// Whether it has modules.
    pub modules: Modules,
    /// Where its recipe is.
    pub origin: String,
    /// Where its source comes from.
    pub source: KernelSource,
    /// The fragments of its configuration, by the path of the local file, in order.
    pub fragments: Vec<String>,
    /// Patches in order, by the path of the local file.
    pub patches: Vec<String>,
    /// The certificate of the key that the image's modules are signed with, by the path of the local file.
    pub module_certificate: Option<String>,
    /// The tool sets that build it.
    pub tools: Vec<String>,
}

/// Where a kernel's source comes from.
#[derive(Debug, Clone)]
pub enum KernelSource {
    /// A packed archive inside a Debian package.
    Debian {
        /// The package.
        package: Package,
        /// Which file in it.
        unpack: Glob,
    },
    /// A packed archive by URL.
    Upstream(UrlUpstream),
    /// Packages with a finished kernel, its modules, and firmware.
    Finished {
        /// The packages.
        packages: Vec<Package>,
        /// What it is started with.
        initramfs: Initramfs,
        /// What of its modules and firmware does not come into the image.
        drop: Vec<Glob>,
    },
}

/// What a finished kernel is started with, until it has its root.
#[derive(Debug, Clone)]
pub struct Initramfs {
    /// The component, among what the kernel is linked with, whose one file is the first program.
    pub init: String,
    /// The modules that are loaded, in order, each with where the recipe names it.
    pub modules: Vec<(String, String)>,
    /// Files below `/usr/lib/firmware`, each with where the recipe names it.
    pub firmware: Vec<(RelPath, String)>,
}

/// A shell script over the merged root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// What it is called.
    pub name: String,
    /// The commands; `$root` is the merged root.
    pub script: String,
}

/// Sizes and file systems of a disk with two slots.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The size of each slot's root partition, in bytes.
    pub slot_bytes: u64,
    /// The size of the ESP in bytes, if the recipe says one.
    pub esp_bytes: Option<u64>,
    /// The file system of the data partition: `ext4`, `xfs`.
    pub data_file_system: String,
    /// Whether the data partition takes all the room there is.
    pub data_growth: Growth,
    /// The size of the disk that the data lies on, in bytes, where that is another one than the system's.
    pub data_disk: Option<u64>,
    /// The most bytes that the root image may have, and where that is written.
    pub budget: Option<(u64, String)>,
    /// Where the layout is written.
    pub origin: String,
}

/// A file that an image is published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Artifact {
    /// Its form.
    pub kind: ArtifactKind,
    /// How it is compressed.
    pub compression: ArtifactCompression,
}

impl Artifact {
    /// The disk as it is, which every image leaves.
    pub const DISK: Artifact = Artifact { kind: ArtifactKind::Raw, compression: ArtifactCompression::Plain };

    /// What the name of its file ends in.
    pub const fn ending(self) -> &'static str {
        match (self.kind, self.compression) {
            (ArtifactKind::Raw, ArtifactCompression::Plain) => "raw",
            (ArtifactKind::Raw, ArtifactCompression::Zstd) => "raw.zst",
        }
    }
}

/// Whether a partition grows with its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// To the end of the disk.
    ToTheEnd,
    /// Not beyond the size it is made with.
    Fixed,
}

/// A user or group with its locked number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The user's number; `None` for a group alone.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: u32,
}

impl Image {
    /// The components of the image and those that they are linked with; a component may come more than once.
    pub fn every_component(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().chain(&self.beside).chain(self.sysroots.values().flat_map(|sysroot| &sysroot.components))
    }

    /// Whether archives with images of containers lie on the disk for data.
    pub fn has_data_images(&self) -> bool {
        let folder = Some(well_known::DATA_ARCHIVES);
        let files = self.components.iter().flat_map(|component| &component.files);
        files.into_iter().any(|file| file.path.parent().as_ref().map(RelPath::as_str) == folder)
    }

    /// The same, to be changed.
    pub fn every_component_mut(&mut self) -> impl Iterator<Item = &mut Component> {
        let sysroots = self.sysroots.values_mut().flat_map(|sysroot| &mut sysroot.components);
        self.components.iter_mut().chain(&mut self.beside).chain(sysroots)
    }

    /// The names of the components that a developer's own folder is in: those built from one, and those that are linked,
    /// over however many others, with what was.
    pub fn from_checkouts(&self) -> BTreeSet<&str> {
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, sysroot) in &self.sysroots {
            for linked in &sysroot.components {
                users.entry(&linked.name).or_default().push(name);
            }
        }
        let checked_out = self.every_component().filter(|component| component.checkout.is_some());
        let mut open: Vec<&str> = checked_out.map(|component| component.name.as_str()).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(users.get(name).into_iter().flatten());
            }
        }
        found
    }

    /// What it is called where it lies.
    pub fn name(&self) -> ImageName {
        ImageName::new(&self.variant, &self.version)
    }

    /// The variant and architecture as people say them: `quickstart x86_64`.
    pub fn title(&self) -> String {
        format!("{} {}", self.variant, self.architecture.name())
    }
}
