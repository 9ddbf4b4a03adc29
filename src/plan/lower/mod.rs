//! From resolved images to actions.
//!
//! One image becomes: a fetch per package, a merged tree per tool set, the kernel's configuration and compile,
//! a run per built component, the UKI, then root, finish, file system, verity, ESP, disk, manifest. Equal actions
//! of several images are one step.

mod boot;
mod command;
mod component;
mod crates;
mod disk;
mod fetched;
mod finished_kernel;
mod go_modules;
mod host_files;
mod kernel;
mod root;
mod source;
mod target;
mod toolset;
mod upstream;
mod users;

use std::{
    collections::BTreeMap,
    hash::{Hash as _, Hasher},
};

pub use host_files::HOST_FILES_OWNER;

use super::{Action, Fetch, Goal, ImagePart, Plan, Source, Step, StepId, Variables};
use crate::{
    content::{Digest, Entry, Metadata, RelPath, RelPathError, Tree},
    graph::{Image, Package, Placed, Role, What},
};

/// The number of processors that every command sees; what it uses is the job server's matter.
const VISIBLE_PROCESSORS: u32 = 4;
/// The longest time that a component's steps may take.
const BUILD_SECONDS: u64 = 2 * 3600;

/// The bytes of local files by the path that recipes know them by.
#[derive(Debug, Clone, Default)]
pub struct Locals {
    /// Files.
    pub files: BTreeMap<String, LocalFile>,
    /// Folders, as trees.
    pub folders: BTreeMap<String, Tree>,
    /// Folders that components are built from, as trees of what git does not ignore.
    pub sources: BTreeMap<String, Tree>,
    /// Folders of developers that take the place of a component's source, by digest.
    pub checkouts: BTreeMap<Digest, Tree>,
}

/// What a local file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalFile {
    /// The digest of its bytes.
    pub blob: Digest,
    /// Their number.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A plan and the content that it speaks of and that no action makes.
#[derive(Debug, Clone, Default)]
pub struct Lowered {
    /// What can be done. Goals are all parts of the images and the tool set of each of their roles.
    pub plan: Plan,
    /// Texts that recipes or brc state, by digest; they must be in the store before the plan runs.
    pub texts: BTreeMap<Digest, Vec<u8>>,
    /// Trees of stated files; they must be in the store before the plan runs.
    pub trees: BTreeMap<Digest, Tree>,
}

/// Makes the plan for some images.
///
/// # Errors
/// What the images want and no action can give, all of it: a local file that nobody read, a role without a tool.
pub fn lower(images: &[Image], locals: &Locals) -> Result<Lowered, Vec<LowerError>> {
    let mut lowering = Lowering {
        locals,
        lowered: Lowered::default(),
        steps: BTreeMap::new(),
        built: BTreeMap::new(),
        environments: BTreeMap::new(),
        errors: Vec::new(),
    };
    for image in images {
        lowering.image(image);
    }
    if lowering.errors.is_empty() { Ok(lowering.lowered) } else { Err(lowering.errors) }
}

/// Every field of an action as bytes, one after the other; labels are not part of it.
struct Fields(Vec<u8>);

impl Hasher for Fields {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        // What is asked for are the bytes.
        0
    }
}

struct Lowering<'a> {
    locals: &'a Locals,
    lowered: Lowered,
    /// Steps by what they do, so that images share them.
    steps: BTreeMap<Digest, StepId>,
    /// What the components of the image at hand are built to. Each is asked for again by all that link with it.
    built: BTreeMap<String, Source>,
    /// The environments of its components' builds, by their versions and whether modules of Go are locked.
    environments: BTreeMap<(String, bool), Variables>,
    errors: Vec<LowerError>,
}

impl Lowering<'_> {
    fn image(&mut self, image: &Image) {
        self.built.clear();
        self.environments.clear();
        let toolsets: BTreeMap<&str, Source> =
            image.toolsets.iter().map(|(name, toolset)| (name.as_str(), self.toolset(toolset))).collect();
        let kernel = self.kernel(image, &toolsets);
        for component in &image.beside {
            if let Some(recipe) = &component.recipe {
                self.built(image, component, recipe, &toolsets);
            }
        }
        let loader = self.role(image, Role::BootLoader, &toolsets);
        let boot = loader.map(|loader| self.boot(image, &kernel, &loader));
        let root = self.root(image, &toolsets, &kernel, boot.as_ref());
        if let Some(boot) = boot {
            self.disk(image, &toolsets, &boot, &root);
        }
        for (role, name) in &image.roles {
            if let Some(tree) = toolsets.get(name.as_str()) {
                self.lowered.plan.goals.push((Goal::of_image(&image.title(), ImagePart::Tool(*role)), tree.clone()));
            }
        }
    }

    /// Adds a step, or finds the one that does just the same.
    fn step(&mut self, component: &str, stage: &str, action: impl Into<Action<Source>>) -> StepId {
        let action = action.into();
        let mut fields = Fields(Vec::new());
        action.hash(&mut fields);
        let identity = Digest::of(&fields.0);
        if let Some(id) = self.steps.get(&identity) {
            return *id;
        }
        let id = StepId(self.lowered.plan.steps.len());
        let step = Step { component: component.to_owned(), stage: stage.to_owned(), action };
        self.lowered.plan.steps.push(step);
        self.steps.insert(identity, id);
        id
    }

    fn package(&mut self, package: &Package) -> Source {
        let fetch = Fetch::Debian(super::DebianPackage {
            name: package.name.clone(),
            sha256: package.sha256,
            size: package.size,
            located: super::Located { mirror: package.mirror.clone(), path: package.path.clone() },
        });
        let step = self.step(&package.name, "fetch", fetch);
        output(step, "data")
    }

    /// A tree of a single file with this text.
    fn text(&mut self, path: &RelPath, text: &str) -> Source {
        let mut tree = Tree::new();
        let entry = self.text_entry(text);
        self.place(&mut tree, path, entry, None);
        self.tree(tree)
    }

    fn text_entry(&mut self, text: &str) -> Entry {
        let blob = Digest::of(text.as_bytes());
        self.lowered.texts.insert(blob, text.as_bytes().to_vec());
        Entry::File { blob, size: text.len() as u64, executable: false }
    }

    fn tree(&mut self, tree: Tree) -> Source {
        let digest = tree.digest();
        self.lowered.trees.insert(digest, tree);
        Source::Tree(digest)
    }

    /// The tree of what recipes put at paths.
    fn placed(&mut self, files: &[Placed]) -> Tree {
        let mut tree = Tree::new();
        for file in files {
            let entry = match &file.what {
                What::Text(text) => self.text_entry(text),
                What::Local(path) => match self.local(path) {
                    Some(entry) => entry,
                    None => continue,
                },
                What::LocalTree(path) => {
                    self.local_tree(&mut tree, path, file);
                    continue;
                }
                What::Link(target) => Entry::Symlink { target: target.clone() },
                What::Folder => Entry::Directory,
            };
            let mode = file.mode.unwrap_or(entry.plain_metadata().mode);
            let metadata = Metadata { mode, uid: file.owner.0, gid: file.owner.1, xattrs: BTreeMap::new() };
            let entry = with_mode(entry, mode);
            self.place(&mut tree, &file.path, entry, Some(metadata));
        }
        tree
    }

    fn local(&mut self, path: &str) -> Option<Entry> {
        let file = self.locals.files.get(path);
        if file.is_none() {
            self.errors.push(LowerError::NoLocalFile { path: path.to_owned() });
        }
        file.map(|file| Entry::File { blob: file.blob, size: file.size, executable: file.executable })
    }

    fn local_tree(&mut self, tree: &mut Tree, path: &str, file: &Placed) {
        let Some(folder) = self.locals.folders.get(path) else {
            return self.errors.push(LowerError::NoLocalFile { path: path.to_owned() });
        };
        for (below, entry) in folder.entries() {
            let metadata =
                folder.metadata(below).map(|metadata| Metadata { uid: file.owner.0, gid: file.owner.1, ..metadata });
            self.place(tree, &file.path.join(below), entry.clone(), metadata);
        }
    }

    fn place(&mut self, tree: &mut Tree, path: &RelPath, entry: Entry, metadata: Option<Metadata>) {
        let metadata = metadata.unwrap_or_else(|| entry.plain_metadata());
        if tree.insert_with(path.clone(), entry, metadata).is_err() {
            self.errors.push(LowerError::PlacedTwice { path: path.clone() });
        }
    }
}

fn output(step: StepId, output: &str) -> Source {
    Source::Output { step, output: output.to_owned() }
}

fn with_mode(entry: Entry, mode: u16) -> Entry {
    match entry {
        Entry::File { blob, size, .. } => Entry::File { blob, size, executable: mode & 0o111 != 0 },
        other => other,
    }
}

/// An image that cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A local file was named and not read.
    #[error("the local file `{path}` was not read")]
    NoLocalFile { path: String },
    /// One component puts two things at one path.
    #[error("`{path}` is placed twice by one component")]
    PlacedTwice { path: RelPath },
    /// Nothing does what brc needs done.
    #[error("variant `{variant}` has no tool for `{role}`: expected `tool \"{role}\" \"COMPONENT\"` in it")]
    NoTool { variant: String, role: &'static str },
    /// A component is built with tools that the image does not have.
    #[error("`{component}` is built with `{tool}`, which is no tool set of the image")]
    NoToolset { component: String, tool: String },
    /// The first program of an initramfs is one file.
    #[error(
        "`{component}`, the `init` of the kernel's `initramfs`, installs {installs} files: expected one, with `install`"
    )]
    NoFirstProgram { component: String, installs: usize },
    /// A component is built against a kernel that is not built.
    #[error(
        "`{component}` is built with `kbuild`, and kernel `{kernel}` comes finished: modules need a kernel from source"
    )]
    NoKernelTree { component: String, kernel: String },
    /// A name that becomes a part of a path cannot be one.
    #[error("it cannot stand on the ESP: {0}")]
    NoPath(RelPathError),
    /// An EFI name or label gets too long.
    #[error("the label `{label}` has more than 36 characters: shorten the variant's name or version")]
    LabelTooLong { label: String },
}
