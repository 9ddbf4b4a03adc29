//! The four instructions. Each is plain data that spells out its whole world.
//!
//! The parameter `T` says how an action names the trees it takes: [`super::Source`] in a plan (the output of
//! another step, perhaps not there yet), [`Digest`] once resolved. Every output of every action is a tree; a
//! single file, such as a root image, is a tree that holds just it.

use std::collections::BTreeMap;

use brc_contract::Architecture;

use super::Variables;
use crate::content::{Digest, Glob, RelPath, Sha256, Url};

/// What an action gave: its trees by output name.
pub type Outcome = BTreeMap<String, Digest>;

/// One instruction of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action<T> {
    /// A locked upstream becomes a tree. Performed by `fetch`.
    Fetch(Fetch),
    /// Trees and a command become trees. Performed by `sandbox`.
    Run(Run<T>),
    /// Trees and a layout become parts of a disk. Performed by `image`.
    Assemble(Assemble<T>),
    /// A disk or tree becomes the file that a platform or a person wants. Performed by `artifact`.
    Pack(Pack<T>),
}

impl<T> Action<T> {
    /// Whether the same inputs give the same outcome, so that it need not be performed twice. What is fetched while it
    /// is being locked comes from a network that changes.
    pub fn is_remembered(&self) -> bool {
        !matches!(self, Action::Run(Run { network: Network::Fetching { expected: None }, .. }))
    }
}

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

/// One command in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run<T> {
    /// The trees that are merged into the lower directory, in this order.
    pub inputs: Vec<Input<T>>,
    /// The command; its first word is an absolute path inside the sandbox.
    pub command: Vec<String>,
    /// The whole environment.
    pub environment: Variables,
    /// The working directory.
    pub directory: RelPath,
    /// What the command reads on standard input.
    pub stdin: Option<Stdin<T>>,
    /// What is taken from the sandbox afterwards, by output name.
    pub outputs: BTreeMap<String, Output>,
    /// Whether it reaches the network.
    pub network: Network,
    /// The user the command runs as; the group is the same number.
    pub uid: u32,
    /// The architecture that the command's programs are for.
    pub architecture: Architecture,
    /// The number of processors that the command sees.
    pub processors: u32,
    /// The longest time it may take, in seconds. Not part of the key: what came out in time is what it is.
    pub timeout_seconds: u64,
    /// What its output folders are looked at for, when they become part of an image.
    pub product: Option<Product>,
}

/// What the build of a component must leave: nothing of the place and the day of the build, nothing that the image
/// cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Product {
    /// The folder of the build, whose path may not be in the output.
    pub built_at: RelPath,
    /// The version of the image's glibc: the output may want no newer symbols. `None` without one.
    pub glibc: Option<(u32, u32)>,
}

/// Whether a command reaches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// There is loopback and nothing else.
    None,
    /// The host's: the command fetches what a lock file names by digest. Its only output is `tree`.
    Fetching {
        /// The tree that it must give, which is the key of the whole action then; `None` while it is being locked.
        expected: Option<Digest>,
    },
}

/// A tree and where the sandbox shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Input<T> {
    /// Who brings it, for error messages. Not part of the key.
    pub owner: String,
    /// The tree.
    pub tree: T,
    /// Where it is laid.
    pub at: RelPath,
}

/// What a command reads on standard input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stdin<T> {
    /// The canonical archive of a tree, streamed from the store.
    ArchiveOf(T),
}

/// What is taken from a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// A folder that is empty before the command: its content. Owners are root; modes count.
    Folder(RelPath),
    /// A folder that inputs were laid into: its content afterwards. Untouched and copied-up paths keep owner,
    /// mode and attributes of the input; new ones belong to root.
    Changed(RelPath),
}

/// A file inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileOf<T> {
    /// The tree.
    pub tree: T,
    /// The file.
    pub path: RelPath,
}

/// One part of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Assemble<T> {
    /// Trees laid over each other, with no path owned twice. Outputs: `root`, `owners` (a file `owners`).
    Root {
        /// The layers, in order.
        layers: Vec<RootLayer<T>>,
    },
    /// A root of which the running machine sees everything: what lies below `/var` is made at boot. Outputs: `root`,
    /// `owners`.
    Visible {
        /// The root.
        tree: T,
        /// The output `owners` of `Root` that it was made from.
        owners: T,
        /// Folders that recipes state: their owner and mode count more than what packages' own lists say of them.
        stated: Vec<RelPath>,
    },
    /// The kernel modules of a tree, wherever they are, and nothing else. Output: `modules`.
    Modules {
        /// The tree.
        tree: T,
    },
    /// Kernel modules with a signature at the end of each. Output: `modules`.
    SignedModules {
        /// What `Modules` gave.
        modules: T,
        /// The certificate, X.509 as PEM. The key that it belongs to stays outside: a signature is the same bytes
        /// whoever makes it (RSASSA-PKCS1-v1_5, RFC 8017).
        certificate: FileOf<T>,
    },
    /// A tree with other content in some of its files. Output: `root`.
    Replaced {
        /// The tree.
        tree: T,
        /// The files, at the paths of those that they replace.
        with: T,
    },
    /// A finished kernel, taken out of packages. Outputs: `boot` (files `kernel`, `config` and `release`, one line) and
    /// `modules` (a tree to lay into the root: modules and firmware).
    PackagedKernel {
        /// What the packages install; one of them holds a kernel.
        packages: Vec<T>,
        /// What of their modules and firmware `modules` lacks.
        drop: Vec<Glob>,
    },
    /// What a finished kernel is started with, until it has its root: a cpio archive. Output: `initramfs` (a file
    /// `initramfs.cpio`).
    Initramfs(Initramfs<T>),
    /// The dm-verity hash tree of a file. Output: `verity` (files `hash`, `root-hash`, `data-blocks`).
    Verity {
        /// The data; a multiple of 4096 bytes.
        data: FileOf<T>,
        /// The salt, 32 bytes.
        salt: [u8; 32],
        /// The UUID of the superblock.
        uuid: [u8; 16],
    },
    /// A unified kernel image that is not bound to a root yet. Output: `uki` (a file `uki.efi`).
    Uki {
        /// The EFI stub.
        stub: FileOf<T>,
        /// The kernel.
        kernel: FileOf<T>,
        /// The text of `.osrel`.
        os_release: String,
        /// The kernel's release, one line, for `.uname`.
        release: FileOf<T>,
        /// What a finished kernel is started with.
        initramfs: Option<FileOf<T>>,
        /// The command line; for `{root-partition}`, `{hash-partition}`, `{sectors}`, `{blocks}`, `{root-hash}` and
        /// `{salt}` see `BoundUki`.
        command_line: String,
        /// The machine it is for.
        architecture: Architecture,
    },
    /// What the root says of the files that start it. Output: `record` (a tree to lay into the root).
    BootRecord {
        /// The kernel image, not bound.
        uki: FileOf<T>,
        /// Every other file of the ESP.
        files: Vec<BootFile<T>>,
    },
    /// A unified kernel image whose command line names the root that it verifies. Output: `uki` (a file `uki.efi`).
    BoundUki {
        /// The output of `Uki`.
        uki: FileOf<T>,
        /// The output of `Verity` that fills its command line in.
        verity: T,
        /// The salt of that output.
        salt: [u8; 32],
    },
    /// A FAT32 EFI system partition. Output: `esp` (a file `esp.img`).
    Esp {
        /// The files, by path.
        files: Vec<BootFile<T>>,
        /// The size of the partition in bytes, which is the file's; `None` takes three times the files under
        /// `EFI/Linux`, the others, and a margin, so that an update always has room.
        size: Option<u64>,
        /// The FAT volume id.
        volume_id: u32,
        /// Seconds since 1970 that every file shows.
        epoch: u64,
    },
    /// A whole disk: GPT, ESP, slots. Output: `disk` (a file `disk.raw`).
    Disk {
        /// The GPT's disk GUID, in text order.
        guid: [u8; 16],
        /// The ESP.
        esp: FileOf<T>,
        /// The ESP's partition GUID, in text order.
        esp_guid: [u8; 16],
        /// Slot A's root image.
        root: FileOf<T>,
        /// The output of `Verity` for it.
        verity: T,
        /// The slots, A first; the first is filled, others stay empty.
        slots: Vec<Slot>,
        /// The label of the filled slot's partitions, at most 36 UTF-16 units.
        label: String,
        /// The architecture, for the partitions' types.
        architecture: Architecture,
    },
}

/// What an initramfs is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Initramfs<T> {
    /// The output `boot` of `PackagedKernel`.
    pub boot: T,
    /// The output `modules` of the same.
    pub modules: T,
    /// The first program: a static one.
    pub init: FileOf<T>,
    /// The modules that are loaded, in order.
    pub load: Vec<Named<String>>,
    /// Files below `usr/lib/firmware`.
    pub firmware: Vec<Named<RelPath>>,
    /// Modules that drive disks, of which the kernel must have one, built in or loaded: those of the platform.
    pub disks: Vec<String>,
}

/// Something that a recipe names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named<N> {
    /// What it names.
    pub name: N,
    /// Where: `FILE:LINE`, for error messages. Not part of the key.
    pub origin: String,
}

/// One layer of a root tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RootLayer<T> {
    /// Who brings it; stands in the manifest, so part of the key.
    pub owner: String,
    /// The tree.
    pub tree: T,
    /// What of it is left out.
    pub drop: Vec<Glob>,
    /// The paths it may take from earlier layers.
    pub replaces: Vec<RelPath>,
    /// The numbers of the user and the group that paths of it belong to; root's where nothing is said.
    pub users: BTreeMap<RelPath, (u32, u32)>,
}

impl<T> RootLayer<T> {
    /// A layer of which nothing is dropped and that replaces nothing.
    pub fn plain(owner: &str, tree: T) -> Self {
        RootLayer { owner: owner.to_owned(), tree, drop: Vec::new(), replaces: Vec::new(), users: BTreeMap::new() }
    }
}

/// A file on the ESP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootFile<T> {
    /// Where it stands: `EFI/BOOT/BOOTX64.EFI`.
    pub to: RelPath,
    /// What it holds.
    pub from: FileOf<T>,
}

/// The sizes and identities of one slot's two partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The size of the hash partition in bytes.
    pub verity_size: u64,
    /// The size of the root partition in bytes.
    pub root_size: u64,
    /// What the partitions are called while the slot is empty: hash, then root, in text order.
    pub empty_guids: [[u8; 16]; 2],
}

/// A file that leaves brc.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pack<T> {
    /// The manifest of an image. Output: `manifest` (a file `manifest.json`).
    Manifest(Manifest<T>),
    /// The disk as it is, compressed or not. Output: `artifact` (a file).
    Raw {
        /// The disk.
        disk: FileOf<T>,
        /// The name of the file.
        name: String,
        /// How it is compressed.
        compression: Compression,
    },
}

/// What a manifest is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Manifest<T> {
    /// The variant's name.
    pub variant: String,
    /// The image's version.
    pub version: String,
    /// The image's architecture.
    pub architecture: Architecture,
    /// Everything in the image, sorted by name.
    pub components: Vec<Part>,
    /// The root tree.
    pub root: T,
    /// The output `owners` of `Assemble::Root`.
    pub owners: T,
    /// The root image.
    pub root_image: FileOf<T>,
    /// The output of `Verity`.
    pub verity: T,
    /// The ESP.
    pub esp: FileOf<T>,
}

/// One component as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Its name, as in `owners`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, or `NOASSERTION`.
    pub license: String,
    /// The SHA-256 of what it was made from, where there is one.
    pub sha256: Option<Sha256>,
    /// What it was made from.
    pub source: PartSource,
}

/// What a component of an image was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartSource {
    /// What recipes and lock say.
    Locked,
    /// A developer's own folder; such an image is not published.
    Checkout,
}

/// How a raw disk is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Sparse, as it is.
    Plain,
    /// As one zstd stream.
    Zstd,
}

impl<T> Action<T> {
    /// The names of its outputs, sorted.
    pub fn output_names(&self) -> Vec<String> {
        let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Action::Fetch(Fetch::Debian(_)) => fixed(&["control", "data"]),
            Action::Fetch(Fetch::DebianSource(_) | Fetch::Url(_)) => fixed(&["data"]),
            Action::Run(run) => run.outputs.keys().cloned().collect(),
            Action::Assemble(Assemble::Root { .. } | Assemble::Visible { .. }) => fixed(&["owners", "root"]),
            Action::Assemble(Assemble::Modules { .. } | Assemble::SignedModules { .. }) => fixed(&["modules"]),
            Action::Assemble(Assemble::PackagedKernel { .. }) => fixed(&["boot", "modules"]),
            Action::Assemble(Assemble::Initramfs(_)) => fixed(&["initramfs"]),
            Action::Assemble(Assemble::Replaced { .. }) => fixed(&["root"]),
            Action::Assemble(Assemble::Verity { .. }) => fixed(&["verity"]),
            Action::Assemble(Assemble::Uki { .. } | Assemble::BoundUki { .. }) => fixed(&["uki"]),
            Action::Assemble(Assemble::BootRecord { .. }) => fixed(&["record"]),
            Action::Assemble(Assemble::Esp { .. }) => fixed(&["esp"]),
            Action::Assemble(Assemble::Disk { .. }) => fixed(&["disk"]),
            Action::Pack(Pack::Manifest(_)) => fixed(&["manifest"]),
            Action::Pack(Pack::Raw { .. }) => fixed(&["artifact"]),
        }
    }
}
