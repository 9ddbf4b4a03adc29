//! The command line, as clap reads it. The doc comments here are the help texts.

mod boot;
mod look;
mod publish;
mod release;
mod repo;
mod target;
mod test;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser as _},
};

pub use boot::{Boot, Cloud, MetadataFault};
pub use look::{Copy, Exec, Logs, Wait};
pub use publish::{Account, Ami, AmiPlace, AmiVerb, Promote, Publish, PublishAmi, PublishVerb};
pub use release::{Diff, PageFormat, Size};
pub use repo::{Keys, KeysVerb, Policy, Repo, RepoVerb, RoleKey, RoleNumber, Signing, Versions};
pub use target::{Choice, Named, Subject, Target, last_word};
pub use test::{Breakage, Test, TestAmi, TestPlace, TestVerb};

/// Compose bootable, verified, reproducible disk images from KDL recipes, without root.
#[derive(Debug, Parser)]
#[command(name = "brc", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    /// What is asked of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Write machine-readable JSON to standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Use no network: everything must be in the store or in a vendored folder
    #[arg(long, global = true)]
    pub offline: bool,
    /// Keep built content in this folder instead of the user's cache
    #[arg(long, global = true, value_name = "DIR", env = "BRC_STORE", value_parser = path_or_nothing())]
    pub store: Option<PathBuf>,
    /// Use this many processors in all [default: all of them]
    #[arg(long, short, global = true, value_name = "N", env = "BRC_JOBS", value_parser = number_or_nothing)]
    pub jobs: Option<usize>,
    /// Fetch what an archive calls NAME from URL; may be given several times
    #[arg(long, global = true, value_name = "NAME=URL")]
    pub mirror: Vec<String>,
    /// Build the component NAME from this folder instead of its source; may be given several times
    #[arg(long, global = true, value_name = "NAME=DIR")]
    pub source: Vec<String>,
    /// Sign kernel modules with the private key in this file (RSA, PEM); may be given several times
    #[arg(long, global = true, value_name = "FILE", env = "BRC_SIGNING_KEY", value_parser = path_or_nothing())]
    pub signing_key: Vec<PathBuf>,
}

/// A path; an empty one, as an empty variable gives it, says nothing.
fn path_or_nothing() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A number; an empty one, as an empty variable gives it, says nothing: it is 0.
fn number_or_nothing(text: &str) -> Result<usize, String> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|error| format!("{error}")) }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Compose an image: lock what is missing, build what is not built, assemble the disk
    Compose(Compose),
    /// Look for mistakes in recipes, all at once
    Check(Check),
    /// Pin what the recipes name and the lock file does not have yet
    Lock(Lock),
    /// Move locked versions forward and say what changed
    #[command(override_usage = "brc update [OPTIONS] [FILE] [NAME]...")]
    Update(Update),
    /// Say which locked versions have newer ones
    Outdated(Lock),
    /// Fetch everything that the image is made from into a folder for `--offline`
    #[command(override_usage = "brc vendor [OPTIONS] [FILE] DIR")]
    Vendor(Vendor),
    /// Print a variant with nothing left open, and where each value is written
    Show(Show),
    /// Print the actions that make the image, and which of them are done
    Plan(Plan),
    /// Draw the components and who needs whom
    Graph(Graph),
    /// Say why a component, package or path is in the image, or why a component was built again
    #[command(override_usage = "brc why [OPTIONS] [FILE] WHAT\n       brc why [OPTIONS] [FILE] --rebuilt COMPONENT")]
    Why(Why),
    /// Say what the last build ran, why, how long it took, and what it waited for
    WhatRan(WhatRan),
    /// Build one component without the image, and say where its outputs lie
    #[command(override_usage = "brc build [OPTIONS] [FILE] COMPONENT")]
    Build(Build),
    /// Build a component, or the variant's name for all of it, twice more in other surroundings; compare every byte
    #[command(override_usage = "brc repro [OPTIONS] [FILE] COMPONENT")]
    Repro(Repro),
    /// Open a shell in the sandbox of a component's action
    #[command(override_usage = "brc shell [OPTIONS] [FILE] COMPONENT")]
    Shell(Shell),
    /// Print what an action printed
    #[command(override_usage = "brc log [OPTIONS] [FILE] COMPONENT")]
    Log(Log),
    /// Look at the configuration of a kernel
    Kernel(Kernel),
    /// Boot an image in a virtual machine
    Boot(Boot),
    /// Run a program in a machine that `brc boot` runs under a name
    #[command(override_usage = "brc exec [OPTIONS] MACHINE [--] COMMAND...")]
    Exec(Exec),
    /// Print the journal of a machine that `brc boot` runs under a name
    Logs(Logs),
    /// Copy files and folders into a machine that `brc boot` runs under a name, or out of it
    #[command(name = "cp")]
    Copy(Copy),
    /// Try in a virtual machine what becomes of an image: boot, update, falling back
    Test(Test),
    /// Check a finished image: partitions, verity, kernel image, file systems
    Verify(Verify),
    /// Say what differs between two images, as between two releases; with exit code 10 when something does
    Diff(Diff),
    /// Say what takes the room in an image, by component and by folder, and what is left of its budget
    Size(Size),
    /// Make keys that sign updates
    Keys(Keys),
    /// Keep a repository of updates that machines take images from
    Repo(Repo),
    /// Publish a finished image
    Publish(Publish),
    /// Look after what was published at AWS
    Ami(Ami),
    /// Look after the store
    Store(Store),
    /// Say what this machine lacks, and how to give it that
    Doctor,
    /// Lay recipes out: indentation and spaces; comments and meaning stay
    #[command(name = "fmt")]
    Format(Format),
    /// Start a project in this folder
    Init(Init),
    /// Print completions for a shell
    Completions(Completions),
}

/// `brc compose`
#[derive(Debug, Args)]
pub struct Compose {
    /// What to compose.
    #[command(flatten)]
    pub target: Target,
    /// Write the image here
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Give the image this version instead of the recipe's
    #[arg(long, value_name = "V")]
    pub image_version: Option<String>,
    /// Move just those locked files forward that their archive dropped; for CI of recipe sets
    #[arg(long)]
    pub relock: bool,
    /// After a failure, still build what does not need the failed action
    #[arg(long)]
    pub keep_going: bool,
}

/// `brc check`
#[derive(Debug, Args)]
pub struct Check {
    /// What to check; without a variant, all of the project.
    #[command(flatten)]
    pub target: Target,
    /// Also check what needs the lock file: closures, maintainer scripts
    #[arg(long)]
    pub locked: bool,
    /// Also say which dependencies of packages are not followed, and why
    #[arg(long, short)]
    pub verbose: bool,
}

/// `brc lock` and `brc outdated`
#[derive(Debug, Args)]
pub struct Lock {
    /// A recipe file; all variants of its project are locked together [default: the project of this folder]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `brc update`
#[derive(Debug, Args)]
pub struct Update {
    /// Only these packages; before them a recipe file, which ends in `.kdl` [default: the project of this folder]
    #[arg(value_name = "[FILE] NAME")]
    pub words: Vec<String>,
    /// Take what the imported recipe sets have pinned, instead of the newest versions
    #[arg(long)]
    pub from_set: bool,
}

impl Update {
    /// The recipe file, when there is one, and the packages.
    pub fn split(&self) -> (Option<PathBuf>, &[String]) {
        match self.words.split_first() {
            Some((file, names)) if file.ends_with(".kdl") => (Some(file.into()), names),
            _ => (None, &self.words),
        }
    }
}

/// `brc vendor`
#[derive(Debug, Args)]
pub struct Vendor {
    /// The folder that is filled; before it a recipe file [default: the project of this folder]
    #[arg(value_name = "[FILE] DIR", num_args = 1..=2, required = true)]
    pub words: Vec<OsString>,
    /// What is vendored.
    #[command(flatten)]
    pub choice: Choice,
}

/// `brc show`
#[derive(Debug, Args)]
pub struct Show {
    /// What is shown.
    #[command(flatten)]
    pub target: Target,
}

/// `brc plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// What is planned.
    #[command(flatten)]
    pub target: Target,
}

/// `brc graph`
#[derive(Debug, Args)]
pub struct Graph {
    /// What is drawn.
    #[command(flatten)]
    pub target: Target,
    /// How it is drawn [default: dot, and json with `--json`]
    #[arg(long, value_enum)]
    pub format: Option<GraphFormat>,
}

/// The forms of a drawn graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz
    Dot,
    /// Nodes and edges
    Json,
    /// A picture
    Svg,
}

/// `brc why`
#[derive(Debug, Args)]
pub struct Why {
    /// A component, a package, or an absolute path in the image; before it a recipe file [default: the project of
    /// this folder]
    #[arg(value_name = "[FILE] WHAT", num_args = 1..=2, required_unless_present = "rebuilt")]
    pub words: Vec<OsString>,
    /// Of which image.
    #[command(flatten)]
    pub choice: Choice,
    /// Say which input changed since the actions of this component last ran, or when they last ran
    #[arg(long, value_name = "COMPONENT")]
    pub rebuilt: Option<String>,
}

/// `brc what-ran`
#[derive(Debug, Args)]
pub struct WhatRan {
    /// Of which image.
    #[command(flatten)]
    pub target: Target,
    /// So many builds before the last one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub earlier: usize,
}

/// `brc build`
#[derive(Debug, Args)]
pub struct Build {
    /// What of which image.
    #[command(flatten)]
    pub named: Named,
    /// Copy what was built into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `brc repro`
#[derive(Debug, Args)]
pub struct Repro {
    /// What of which image.
    #[command(flatten)]
    pub named: Named,
    /// Build below this folder instead of the store's: another file system has another order of names in folders
    #[arg(long, value_name = "DIR")]
    pub elsewhere: Option<PathBuf>,
}

/// `brc shell`
#[derive(Debug, Args)]
pub struct Shell {
    /// What of which image.
    #[command(flatten)]
    pub named: Named,
    /// Open the sandbox as the failed action left it
    #[arg(long)]
    pub failed: bool,
}

/// `brc log`
#[derive(Debug, Args)]
pub struct Log {
    /// What of which image.
    #[command(flatten)]
    pub named: Named,
}

/// `brc kernel`
#[derive(Debug, Args)]
pub struct Kernel {
    /// What to look at.
    #[command(subcommand)]
    pub verb: KernelVerb,
}

/// What can be seen of a kernel. Only its configuration is made, which takes seconds.
#[derive(Debug, Subcommand)]
pub enum KernelVerb {
    /// Print each option that a fragment sets, with the line that sets it
    Config {
        /// Of which image.
        #[command(flatten)]
        target: Target,
        /// Print the options that no fragment speaks of, too
        #[arg(long)]
        all: bool,
    },
    /// Print the options that two kernels have with different values
    Diff {
        /// A recipe file [default: the project of this folder]
        #[arg(value_name = "FILE")]
        first: Option<PathBuf>,
        /// The file of the other side [default: the same]
        #[arg(value_name = "OTHER")]
        second: Option<PathBuf>,
        /// The variant, or the one of each side: A,B
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        variant: Vec<String>,
        /// The architecture, or the one of each side: A,B
        #[arg(long, value_name = "LIST", value_delimiter = ',')]
        arch: Vec<String>,
        /// Print the options that no fragment speaks of, too
        #[arg(long)]
        all: bool,
    },
}

/// `brc verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The disk image
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Its manifest, from somebody you trust [default: compare with the one beside it, and trust it no more than the image]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The root hash that it must have, from somebody you trust
    #[arg(long, value_name = "HASH")]
    pub root_hash: Option<String>,
    /// Also fail when something could not be checked
    #[arg(long)]
    pub strict: bool,
    /// Also refuse what must not be published: anything that was built from a local checkout
    #[arg(long)]
    pub release: bool,
}

/// `brc store`
#[derive(Debug, Args)]
pub struct Store {
    /// What to do with it.
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What can be done with the store.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Say how much there is of what
    Du,
    /// Remove what no recent compose needs
    Gc {
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
        /// Keep what was used in the last so many days
        #[arg(long, value_name = "DAYS", default_value_t = 14)]
        keep_days: u32,
    },
    /// Read everything and compare it with its digest
    Verify,
}

/// `brc fmt`
#[derive(Debug, Args)]
pub struct Format {
    /// The recipe files [default: all those of the project of this folder]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write nothing: name the files that would change, with exit code 1
    #[arg(long)]
    pub check: bool,
}

/// `brc init`
#[derive(Debug, Args)]
pub struct Init {
    /// The project's name [default: the folder's]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where the recipe set that brc ships lies
    #[arg(long, value_name = "DIR")]
    pub recipes: PathBuf,
}

/// `brc completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
