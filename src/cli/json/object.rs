//! What commands answer: the objects without a field `event`. They are of the [`VERSION`](super::VERSION) of all lines.

use serde::Serialize;

use super::{Action, Ami, AmiPlan, AmiRemoval, Event, Published, difference::ImageDifference, size::ImageSize};

/// Everything that is printed as a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Object {
    /// What happens, of any command.
    Event(Event),
    /// `brc show`
    Resolved(Resolved),
    /// `brc plan`, for each action
    Planned(PlannedAction),
    /// `brc graph`
    Graph(Graph),
    /// `brc why`, for each image
    Provenance(Provenance),
    /// `brc why --rebuilt`, for each action
    Rebuilt(ActionReport),
    /// `brc what-ran`
    WhatRan(WhatRan),
    /// `brc log`, for each action that printed something
    Log(Log),
    /// `brc repro`
    Reproduction(Reproduction),
    /// `brc verify`
    Check(ImageCheck),
    /// `brc diff`
    ImageDifference(ImageDifference),
    /// `brc size`, for each image
    ImageSize(ImageSize),
    /// `brc repo`
    Repository(Repository),
    /// `brc keys show`, for each key
    RepositoryKey(RepositoryKey),
    /// `brc publish ami --dry-run`
    AmiPlan(AmiPlan),
    /// `brc publish ami`
    Published(Published),
    /// `brc ami list`, for each AMI and each upload that is not finished
    Ami(Ami),
    /// `brc ami prune`, for each region
    AmiRemoval(AmiRemoval),
    /// `brc store du`, for each kind of file
    Usage(Usage),
    /// `brc store gc`
    Removal(Removal),
    /// `brc doctor`, for each thing that was looked at
    Finding(Finding),
}

/// A repository of updates, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repository {
    /// Its roles.
    pub roles: Vec<RepositoryRole>,
    /// The version that no machine goes beyond, or null.
    pub max_version: Option<String>,
    /// The images that it offers, by name and architecture.
    pub images: Vec<String>,
    /// Those of them that no machine takes.
    pub halted: Vec<String>,
    /// How many bytes its targets have.
    pub bytes: u64,
    /// What waits for signatures.
    pub waiting: Vec<RepositoryDraft>,
}

/// What waits for signatures in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepositoryDraft {
    /// The role.
    pub role: String,
    /// Which version it will be.
    pub version: u64,
    /// When it ends (RFC 3339, UTC).
    pub expires: String,
    /// What it changes, for people.
    pub changes: Vec<String>,
    /// Whose signatures it wants: each must be met.
    pub tallies: Vec<RepositoryTally>,
}

/// Whose signatures a draft has and wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepositoryTally {
    /// The version of the root that wants them.
    pub root: u64,
    /// How many are enough.
    pub threshold: u64,
    /// The identities of keys that have signed.
    pub signed: Vec<String>,
    /// Those of keys that have not.
    pub missing: Vec<String>,
}

/// A key that signs a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepositoryKey {
    /// Its role.
    pub role: String,
    /// Its identity.
    pub key: String,
    /// The file that says of it.
    pub file: String,
    /// Whether it can sign from here.
    pub signs: bool,
    /// The program that holds it, with its arguments, or null.
    pub command: Option<Vec<String>>,
}

/// A role of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepositoryRole {
    /// Its name.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it ends (RFC 3339, UTC).
    pub expires: String,
    /// How many of its keys must sign.
    pub threshold: u64,
    /// The identities of its keys.
    pub keys: Vec<String>,
}

/// A variant with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resolved {
    /// The image.
    pub image: String,
    /// Its values, in the order of a recipe.
    pub values: Vec<Value>,
}

/// One value of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Value {
    /// What has the value; two spaces before what belongs to the component above it.
    pub what: String,
    /// The value as a recipe would have it.
    pub value: String,
    /// The file and line that say so, and what they replace.
    pub at: String,
}

/// An action of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedAction {
    /// Its number in the plan.
    pub step: usize,
    /// The component that it belongs to.
    pub component: String,
    /// What is done.
    pub stage: String,
    /// The numbers of the actions whose outputs it takes.
    pub needs: Vec<usize>,
    /// `done`, `ready` (it could run now) or `waiting`.
    pub state: String,
    /// How long it took the last time on this machine.
    pub last_seconds: Option<f64>,
}

/// The components of an image, and who needs whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Graph {
    /// The image.
    pub image: String,
    /// The components.
    pub nodes: Vec<String>,
    /// What one has of another.
    pub edges: Vec<Edge>,
}

/// One component needs another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Edge {
    /// Who needs.
    pub from: String,
    /// Who is needed.
    pub to: String,
    /// `needs`, `build-with`, `link-with` or `tool`.
    pub kind: String,
}

/// How something comes into an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Provenance {
    /// The image.
    pub image: String,
    /// From the variant down to what was asked for, each with its place in recipes where it has one.
    pub chain: Vec<String>,
}

/// What a build did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WhatRan {
    /// What was asked for: `compose`, `build runc`.
    pub command: String,
    /// When it began, in UTC.
    pub began: String,
    /// `done` or `failed`.
    pub end: String,
    /// How long it took.
    pub seconds: f64,
    /// How long processors worked for it, all together.
    pub processor_seconds: f64,
    /// How many actions had their outcome already.
    pub reused: usize,
    /// Those that ran.
    pub actions: Vec<ActionReport>,
    /// What the build waited for.
    pub critical_path: CriticalPath,
}

/// The chain of actions, each of which needs the one before, that took longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CriticalPath {
    /// How long it took.
    pub seconds: f64,
    /// The component and stage of each.
    pub steps: Vec<String>,
}

/// An action that ran, or would run now, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ActionReport {
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// `ran` or `failed`; with `brc why` also `due`: it would run now.
    pub state: String,
    /// Why it was not reused.
    pub reason: String,
    /// What it is made from that is not what it was.
    pub changes: Vec<Change>,
    /// The machine that it ran on.
    pub r#where: String,
    /// How long it took.
    pub seconds: f64,
    /// The file that has what it printed; null when there is none.
    pub log: Option<String>,
    /// A command that runs it again; null where a whole project is meant.
    pub reproduce: Option<String>,
}

/// Something that an action is made from and that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// What it is.
    pub what: String,
    /// What it was, a digest or a text; null when it was not there.
    pub old: Option<String>,
    /// What it is now; null when it is not there any more.
    pub new: Option<String>,
    /// With `brc why`: what is different inside, as lines for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<String>>,
}

/// What an action printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Log {
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// When the build began that ran it, in UTC; null when it would be reused now.
    pub began: Option<String>,
    /// What it printed; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Whether a component has the same bytes in other surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Reproduction {
    /// It has.
    Same {
        /// True.
        same: bool,
        /// What was built again.
        component: String,
        /// The digest of its outputs.
        digest: String,
        /// How many files were compared.
        files: usize,
        /// The component and stage of each action that was compared.
        actions: Vec<String>,
        /// What each build was surrounded by.
        surroundings: Vec<Surroundings>,
    },
    /// It has not; what differs first.
    Different {
        /// False.
        same: bool,
        /// The component and stage of the action.
        step: String,
        /// The name of its output.
        output: String,
        /// The path in it; null when the action itself is another one.
        path: Option<String>,
        /// What differs.
        difference: Option<String>,
        /// The first byte that differs in the file.
        byte: Option<u64>,
        /// The bytes from there on here, in hexadecimal.
        before: Option<String>,
        /// The bytes from there on in the other surroundings, in hexadecimal.
        again: Option<String>,
        /// What the build was surrounded by.
        surroundings: Surroundings,
    },
}

/// What is different around a build and must not reach its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Surroundings {
    /// How many processors were used.
    pub jobs: usize,
    /// The umask, in octal.
    pub umask: String,
    /// The locale.
    pub locale: String,
    /// The time zone.
    pub time_zone: String,
}

/// What a check of an image found. A number that could not be read is 0, a text null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageCheck {
    /// Whether nothing is wrong in what was checked.
    pub good: bool,
    /// What is wrong.
    pub findings: Vec<ImageFinding>,
    /// What could not be checked: `root hash`, `boot`.
    pub unchecked: Vec<String>,
    /// The manifest that it was compared with.
    pub manifest: Option<String>,
    /// The size of the image.
    pub image_bytes: u64,
    /// The architecture that the image is for.
    pub architecture: Option<String>,
    /// The file name of its boot entry.
    pub entry: Option<String>,
    /// Its hash tree.
    pub verity: Verity,
    /// Its root.
    pub root: Root,
    /// Its EFI system partition.
    pub esp: Esp,
}

/// Something that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageFinding {
    /// The part of the image.
    pub part: String,
    /// The byte of the image at which it starts.
    pub offset: Option<u64>,
    /// The block of 4096 bytes of its partition.
    pub block: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// The hash tree of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verity {
    /// The root hash that the image speaks of.
    pub root_hash: Option<String>,
    /// Blocks of the root that were hashed.
    pub data_blocks: u64,
    /// Blocks of the hash tree that were hashed.
    pub hash_blocks: u64,
}

/// The root of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Root {
    /// The size of its partition.
    pub partition_bytes: u64,
    /// Files, folders and links in it.
    pub paths: u64,
    /// The sum of the sizes of its files.
    pub file_bytes: u64,
}

/// The EFI system partition of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Esp {
    /// Its size.
    pub bytes: u64,
    /// The size that has room for updates.
    pub needed_bytes: u64,
}

/// How much there is of one kind of file in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usage {
    /// What they are.
    pub kind: String,
    /// How many.
    pub files: u64,
    /// How large they are together.
    pub bytes: u64,
}

/// What garbage collection removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Removal {
    /// Whether it was only measured.
    pub dry_run: bool,
    /// How many files.
    pub files: u64,
    /// How large they are together.
    pub bytes: u64,
}

/// One thing that this machine has or lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// What was looked at: `sandbox`, `landlock`, `memory`, `mirror`, `kvm`.
    pub what: String,
    /// `good`, `lacking` or `note`.
    pub state: String,
    /// What was found, and what to do about it.
    pub text: String,
}
