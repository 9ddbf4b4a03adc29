//! Why an image could not be composed.

use std::{collections::BTreeSet, io, path::PathBuf};

use super::SetError;
use crate::{
    build::BuildError,
    content::{RelPath, counted},
    fetch::FetchError,
    graph::Role,
    image::{CertificateError, OciError, SigningKeyError},
    lock::{Gone, Lock, LockError, ParseLockError},
    plan::{Goal, LowerError},
    recipe::{Diagnostic, SourceSet},
    store::StoreError,
};

/// An image could not be composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Recipes are wrong.
    #[error("the recipes have {}", counted(diagnostics.len(), "mistake"))]
    Recipes { sources: Box<SourceSet>, diagnostics: Vec<Diagnostic> },
    /// A file cannot be read.
    #[error("`{path}` cannot be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A pattern has more to look at than can be meant.
    #[error(
        "`read \"{pattern}\"` looks at more than {limit} names in `{folder}`: name the folders that recipes are in, \
         as in `read \"recipes/**/*.kdl\"`",
        folder = folder.display()
    )]
    TooManyFiles { pattern: String, folder: PathBuf, limit: usize },
    /// No project is meant.
    #[error(
        "there is no `brc.kdl` in `{folder}` or above it: name a recipe file, go to a project, or start one with `brc init`",
        folder = folder.display()
    )]
    NoProject { folder: PathBuf },
    /// A file cannot be written.
    #[error("`{path}` cannot be written", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    /// What is one developer's alone comes with the project.
    #[error(
        "`{path}` is tracked by git: it names folders of one machine, and is for the developer who wrote it; \
         `git rm --cached` it, and name it in `.gitignore`",
        path = path.display()
    )]
    TrackedLocal { path: PathBuf },
    /// A recipe set from elsewhere cannot be had.
    #[error("the recipe set `{name}` cannot be had")]
    Set { name: String, source: Box<SetError> },
    /// Imports go on and on.
    #[error("the imports of `{path}` have no end: expected at most 64 levels", path = path.display())]
    Endless { path: PathBuf },
    /// There is no such variant.
    #[error("there is no variant `{wanted}`; there are: {}", known.join(", "))]
    NoVariant { wanted: String, known: Vec<String> },
    /// The file states no variant.
    #[error("`{path}` states no variant that can be composed; name one with `--variant`: {}", known.join(", "), path = path.display())]
    NoVariantInFile { path: PathBuf, known: Vec<String> },
    /// The file states several variants.
    #[error("which variant? name one with `--variant`: {}", known.join(", "))]
    SeveralVariants { known: Vec<String> },
    /// There is no such component, or there are several.
    #[error("`--source {wanted}=…` names no single component; expected one of: {}", known.join(", "))]
    NoComponent { wanted: String, known: Vec<String> },
    /// Nothing has this name.
    #[error(
        "nothing is called `{wanted}`{}: expected a component, kernel, tool set or package; components of this project: {}",
        near.as_ref().map(|near| format!(", did you mean `{near}`")).unwrap_or_default(),
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    )]
    NoPart { wanted: String, near: Option<String>, known: Vec<String> },
    /// There is no build of it to speak of.
    #[error("`{component}` only brings files or packages: expected a component with steps, a kernel or a tool set")]
    NothingBuilt { component: String },
    /// Several sets have a component of this name.
    #[error("`{wanted}` could be {}: expected one of them", known.join(" or "))]
    SeveralParts { wanted: String, known: Vec<String> },
    /// A folder cannot take the place of a source that is not there.
    #[error(
        "`{component}` is not built from source, so no folder can take the source's place: expected a component with steps"
    )]
    NotBuilt { component: String },
    /// A folder is to take the place of a source that nothing is made from.
    #[error(
        "`--source {component}=…` changes nothing: what is composed neither has `{component}` nor is linked with it; \
         leave the option out, or `include` the component"
    )]
    NotIncluded { component: String },
    /// The variant is not for this architecture.
    #[error("variant `{variant}` is not for `{wanted}`: expected {} or `all`", known.join(", "))]
    NoArchitecture { wanted: String, variant: String, known: Vec<String> },
    /// A file is no key that signs.
    #[error("`{path}` cannot be used as a signing key", path = path.display())]
    SigningKey { path: PathBuf, source: SigningKeyError },
    /// A file is no certificate of such a key.
    #[error("`{path}` cannot be used as a `module-certificate`", path = path.display())]
    Certificate { path: PathBuf, source: CertificateError },
    /// A file is no image of containers for the architecture.
    #[error("`{path}` cannot be embedded")]
    OciArchive { path: PathBuf, source: OciError },
    /// The lock on the disk is none.
    #[error(
        "`{path}` is not a lock that this brc reads: restore it from version control; a new one, made after it is removed, \
         has other versions",
        path = path.display()
    )]
    BadLock { path: PathBuf, source: ParseLockError },
    /// The pins of sets are wanted that have none.
    #[error(
        "no imported recipe set has pins to take: expected a `brc.lock` beside the `brc.kdl` of one, made by `brc lock` there"
    )]
    NoSetLock,
    /// The lock does not serve the recipes.
    #[error("the lock does not serve the recipes; run `brc lock`:\n{}", missing.join("\n"))]
    Unlocked { missing: Vec<String> },
    /// There is nothing to look at yet.
    #[error("`{image}` was not composed as its recipes are now: expected an image in the store; run `brc compose`")]
    NotComposed { image: String },
    /// What is wanted cannot be locked.
    #[error("the recipes cannot be locked")]
    Lock(#[source] LockError),
    /// A file cannot be had.
    #[error("a file that the lock needs cannot be had")]
    Fetch(#[source] Box<FetchError>),
    /// The images cannot be planned.
    #[error("the image cannot be planned: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Lower(Vec<LowerError>),
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[source] StoreError),
    /// Actions failed.
    #[error(transparent)]
    Build(BuildError),
    /// The finished root is not what recipes say of it.
    #[error("the image is not what its recipes say:\n{}", findings.join("\n"))]
    NotAsStated { findings: Vec<String> },
    /// No tool set does something for a variant.
    #[error(
        "variant `{variant}` has no tool for `{role}`: expected `tool \"{role}\" \"COMPONENT\"`",
        role = role.name()
    )]
    NoTool { variant: String, role: Role },
    /// Links of a root have no end.
    #[error("`{link}` leads around in a circle")]
    EndlessLink { link: RelPath },
    /// A plan lacks what every image has.
    #[error("the plan has no `{goal}`, which every image has: this is a bug of brc")]
    NoGoal { goal: Goal },
}

/// What of a lock no mirror has any more, from the failures of a build.
pub fn gone(lock: &Lock, error: &ComposeError) -> Gone {
    let ComposeError::Build(BuildError::Steps { failures, .. }) = error else { return Gone::default() };
    let errors = failures.iter().filter_map(|failed| failed.failure.error.downcast_ref::<FetchError>());
    let files: BTreeSet<(&str, &str)> =
        errors.filter_map(FetchError::gone).map(|file| (file.mirror.as_str(), file.path.as_str())).collect();
    let packages = lock.packages.iter().filter(|(_, package)| files.contains(&(&package.mirror, &package.path)));
    let sources = lock
        .sources
        .iter()
        .filter(|(_, source)| source.files.keys().any(|path| files.contains(&(source.mirror.as_str(), path.as_str()))));
    Gone {
        packages: packages.map(|(id, _)| id.clone()).collect(),
        sources: sources.map(|(id, _)| id.clone()).collect(),
    }
}
