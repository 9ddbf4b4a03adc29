//! One command in a sandbox.

use std::collections::BTreeMap;

use brc_contract::Architecture;

use super::super::Variables;
use crate::{
    content::{Digest, RelPath},
    plan::walk::{Kind, Walk},
};

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

impl<T> Kind<T> for Run<T> {
    type With<U> = Run<U>;

    fn kind(&self) -> (&'static str, u64) {
        match self.network {
            // However it comes, it is this tree: neither another tool nor another server makes it another one.
            Network::Fetching { expected: Some(_) } => ("fetch tree", 1),
            Network::Fetching { expected: None } | Network::None => ("run", 2),
        }
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Run<U>, E> {
        if let Network::Fetching { expected: Some(tree) } = self.network {
            walk.digest("tree", &tree);
            return self.fields(&mut walk.unseen());
        }
        self.fields(walk)
    }

    fn outputs(&self) -> Vec<String> {
        self.outputs.keys().cloned().collect()
    }
}

impl<T> Run<T> {
    fn fields<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Run<U>, E> {
        let inputs = walk.each(&self.inputs, |walk, input| {
            walk.about("input", &input.owner);
            let (tree, at) = (walk.tree("input", &input.tree)?, walk.path("at", &input.at));
            Ok(Input { owner: walk.label(&input.owner), tree, at })
        })?;
        let command = walk.each(&self.command, |walk, word| {
            walk.about("command", "");
            Ok(walk.text("word", word))
        })?;
        for (name, value) in self.environment.iter() {
            walk.named("variable", "variable", name);
            walk.word("value", value);
        }
        walk.about_all();
        let directory = walk.path("directory", &self.directory);
        let stdin = match &self.stdin {
            Some(Stdin::ArchiveOf(tree)) => Some(Stdin::ArchiveOf(walk.tree("stdin archive", tree)?)),
            None => None,
        };
        for (name, output) in &self.outputs {
            let (kind, field, path) = match output {
                Output::Folder(path) => ("output", "folder", path),
                Output::Changed(path) => ("changed output", "changed", path),
            };
            walk.named("output", kind, name);
            walk.path(field, path);
        }
        walk.about_all();
        if self.network != Network::None {
            walk.word("network", "fetching");
        }
        Ok(Run {
            inputs,
            command,
            environment: walk.label(&self.environment),
            directory,
            stdin,
            outputs: walk.label(&self.outputs),
            network: self.network,
            uid: walk.number("uid", self.uid),
            architecture: walk.architecture(self.architecture),
            processors: walk.number("processors", self.processors),
            timeout_seconds: walk.label(&self.timeout_seconds),
            product: self.product.as_ref().map(|product| product.walk(walk)),
        })
    }
}

impl Product {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Product {
        let built_at = walk.path("built at", &self.built_at);
        let (major, minor) = self.glibc.unwrap_or_default();
        walk.number("glibc", major);
        walk.number("glibc", minor);
        Product { built_at, glibc: self.glibc }
    }
}
