//! The one place where the stages meet: read, pin, resolve, lower, build.
//!
//! *Takes* a recipe file and what the caller wants of it. *Gives* images on the disk. *Promises*: nothing is fetched
//! or written while a recipe is wrong; no output file is there after a failure. *Does not know* how anything is
//! shown, nor the environment and the clock: `cli` tells.

#[cfg(test)]
mod bad_recipe_tests;
mod beneath;
mod checkout;
mod dropped;
mod failure;
mod finished;
mod folder;
mod history;
mod kernel;
mod local;
mod lock_file;
mod locking;
mod output;
mod owner;
mod part;
mod place;
mod project;
mod recipe_files;
mod sets;
mod settings_template;
mod signing;
mod stored;
mod tool;
mod tracked;
mod trees;
mod urls;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use brc_contract::Architecture;

use crate::{
    artifact::{DATA_DISK_ENDING, MANIFEST_ENDING, Packer},
    build::{self, AfterFailure, Built, Event, Known, Options, Performers},
    fetch::{Client, Fetcher},
    graph::{Artifact, Flat, Image},
    image::Assembler,
    lock::{Goal, Lock},
    plan::{ImagePart, Lowered, lower},
    recipe::Name,
    sandbox::Sandbox,
    store::Store,
};

pub use checkout::{LocalSource, Stated};
pub use failure::{ComposeError, gone};
pub use folder::{manifests, source_tree};
pub use kernel::{KernelOption, WantedValue};
pub use local::read_locals;
pub use locking::{SetPins, older};
pub use output::{Ready, copy_out};
pub use owner::Owner;
pub use place::ProjectPlace;
pub use project::Project;
pub use sets::{SetError, SetFolder, SetGoal, SetKeeper};
pub use stored::{Absent, StoredImage};

/// What every stage is given by the caller.
pub struct Session<'a> {
    /// Where content is kept.
    pub store: Store,
    /// Fetches files.
    pub client: Client,
    /// Performs commands.
    pub sandbox: Sandbox,
    /// The files of private keys, which are read when something is to be signed.
    pub signing_keys: Vec<PathBuf>,
    /// How many processors are used.
    pub jobs: usize,
    /// What happens to other actions after a failure.
    pub after_failure: AfterFailure,
    /// Seconds since 1970, for the validity of keys and archives alone.
    pub now: u64,
    /// Set when everything is to stop.
    pub cancelled: &'a AtomicBool,
    /// Told what happens while building.
    pub events: Box<dyn Fn(Event) + Sync + 'a>,
    /// Is given a line on what is done before building.
    pub status: Box<dyn Fn(&str) + Sync + 'a>,
}

/// What is composed.
#[derive(Debug, Clone)]
pub struct ComposeOrder {
    /// The variant.
    pub variant: Name,
    /// The architectures.
    pub architectures: Vec<Architecture>,
    /// The version that replaces the recipe's.
    pub image_version: Option<String>,
    /// A component that is built, whether the variant has it or not.
    pub beside: Option<Name>,
}

/// What may be done to a lock that does not serve the recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// What is missing is added.
    Completed,
    /// It is an error.
    AsItIs,
}

impl From<Locked> for SetGoal {
    fn from(locked: Locked) -> Self {
        match locked {
            Locked::AsItIs => SetGoal::AsLocked,
            Locked::Completed => SetGoal::Complete,
        }
    }
}

/// A composed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The image as people say it: `quickstart x86_64`.
    pub title: String,
    /// The disk.
    pub disk: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The files that it is published as, the disk among them.
    pub artifacts: BTreeMap<Artifact, PathBuf>,
    /// The disk for data that comes with it, where it brings images of containers on one.
    pub data_disk: Option<PathBuf>,
    /// The bytes of the root image.
    pub root_bytes: u64,
}

impl Session<'_> {
    /// Composes an order into `folder`.
    ///
    /// # Errors
    /// See [`ComposeError`]; no file of the order is written then.
    pub fn compose(
        &self,
        project: &Project,
        order: &ComposeOrder,
        folder: &Path,
    ) -> Result<Vec<Composed>, ComposeError> {
        let images = self.images(project, order, Locked::Completed)?;
        let mut lowered = self.lower(project, &images)?;
        lowered.plan.goals.retain(|(goal, _)| goal.is_composed());
        images.iter().flat_map(|image| files(image, folder)).try_for_each(|(_, to)| output::check(&to))?;
        let built = self.build_recorded(project, order, "compose", &lowered)?;
        self.check_finished(&images, &built)?;
        self.tell_idle_drops(project, order, &lowered)?;
        // Everything is written before anything gets its name, the manifests first.
        let mut composed = Vec::new();
        let mut ready = Vec::new();
        for image in &images {
            composed.push(self.write(image, &built, folder, &mut ready)?);
        }
        ready.into_iter().try_for_each(|file| file.publish(&self.store))?;
        let keys = built.keys.iter().copied().chain(project.sets.values().map(SetFolder::key)).collect();
        self.store.keep(&project.root, &order.variant.to_string(), &keys).map_err(ComposeError::Store)?;
        Ok(composed)
    }

    /// The images of an order, with everything pinned.
    ///
    /// # Errors
    /// Mistakes in recipes, a lock that does not serve them, scripts that nothing accounts for.
    pub fn images(&self, project: &Project, order: &ComposeOrder, locked: Locked) -> Result<Vec<Image>, ComposeError> {
        let mut flats = project.flats_with(&order.variant, &order.architectures, order.beside.as_ref())?;
        if let Some(version) = &order.image_version {
            flats.iter_mut().for_each(|flat| flat.set_version(version));
        }
        let lock = self.lock(project, &flats, locked)?;
        let objections = project.objections(&flats, &lock);
        if !objections.is_empty() {
            return Err(project.refused(objections));
        }
        let mut images = Vec::new();
        for flat in &flats {
            images.push(project.pin(flat, &lock)?);
        }
        project.use_checkouts(&mut images, &self.store)?.iter().for_each(|line| (self.status)(line));
        Ok(images)
    }

    /// The lock that serves `flats`; what is missing is added and written where that is allowed.
    fn lock(&self, project: &Project, flats: &[Flat], locked: Locked) -> Result<Lock, ComposeError> {
        let lock = project.lock()?;
        let wanted = project.wanted(flats)?;
        let missing = lock.missing(&wanted);
        if missing.is_empty() {
            older(&lock, &wanted).iter().for_each(|line| (self.status)(line));
            return Ok(lock);
        }
        if locked == Locked::AsItIs {
            return Err(ComposeError::Unlocked { missing: missing.iter().map(ToString::to_string).collect() });
        }
        // A lock is the whole project's: what another variant or architecture has locked stays.
        let mut all = project.all_flats()?;
        let is_one = |one: &Flat, other: &Flat| {
            one.name.value == other.name.value && one.situation.architecture == other.situation.architecture
        };
        let is_new = |flat: &&Flat| !flat.beside.is_empty() || !all.iter().any(|one| is_one(one, flat));
        all.extend(flats.iter().filter(is_new).cloned().collect::<Vec<_>>());
        let (lock, report) = self.make_lock(project, &all, &lock, Goal::Complete, SetPins::Missing)?;
        report.warnings.iter().for_each(|warning| (self.status)(&format!("warning: {warning}")));
        project.write_lock(&lock)?;
        Ok(lock)
    }

    /// The plan of some images, with everything that it speaks of in the store.
    ///
    /// # Errors
    /// A local file that cannot be read, an image that cannot be planned, a store that takes nothing.
    pub fn lower(&self, project: &Project, images: &[Image]) -> Result<Lowered, ComposeError> {
        let locals = read_locals(project, images, &self.store)?;
        let lowered = lower(images, &locals).map_err(ComposeError::Lower)?;
        lowered.texts.values().try_for_each(|text| self.store.put(text).map(drop)).map_err(ComposeError::Store)?;
        lowered.trees.values().try_for_each(|tree| self.store.put_tree(tree).map(drop)).map_err(ComposeError::Store)?;
        Ok(lowered)
    }

    /// Runs what a plan's goals need.
    ///
    /// # Errors
    /// Every action that failed.
    pub fn build(&self, lowered: &Lowered) -> Result<Built, ComposeError> {
        self.build_told(lowered, &self.events)
    }

    fn build_told(&self, lowered: &Lowered, events: &(dyn Fn(Event) + Sync)) -> Result<Built, ComposeError> {
        self.recall_trees(&lowered.plan)?;
        let options = Options { jobs: self.jobs, after_failure: self.after_failure };
        let keys = self.keys_for(lowered)?;
        let fetch = Fetcher::new(self.client.clone(), self.store.clone());
        let assemble = Assembler::new(self.store.clone()).with_keys(keys);
        let pack = Packer::new(self.store.clone());
        let performers = Performers { fetch: &fetch, run: &self.sandbox, assemble: &assemble, pack: &pack };
        build::build(&lowered.plan, performers, &self.store, &options, events, self.cancelled)
            .map_err(ComposeError::Build)
    }

    /// What is known of each step of a plan, without running any.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn look(&self, lowered: &Lowered) -> Result<Vec<Known>, ComposeError> {
        build::look(&lowered.plan, &self.store).map_err(ComposeError::Build)
    }

    /// Hands over what is known of each step of a plan, in order, and keeps nothing of it.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn look_each(&self, lowered: &Lowered, see: impl FnMut(Known)) -> Result<(), ComposeError> {
        build::look_each(&lowered.plan, &self.store, see).map_err(ComposeError::Build)
    }

    fn write(
        &self,
        image: &Image,
        built: &Built,
        folder: &Path,
        ready: &mut Vec<Ready>,
    ) -> Result<Composed, ComposeError> {
        for (part, to) in files(image, folder) {
            let tree = output::goal(&image.title(), built, part)?;
            ready.push(output::prepare(&self.store, tree, &to)?);
        }
        Ok(Composed {
            title: image.title(),
            disk: path_of(image, folder, Artifact::DISK.ending()),
            manifest: manifest_path(image, folder),
            artifacts: artifacts(image, folder).collect(),
            data_disk: data_disk_path(image, folder),
            root_bytes: self.root_bytes(image, built)?,
        })
    }
}

/// The files that an image leaves in `folder`, the manifest first.
fn files(image: &Image, folder: &Path) -> Vec<(ImagePart, PathBuf)> {
    let artifacts = artifacts(image, folder).map(|(artifact, path)| (ImagePart::Artifact(artifact), path));
    let data = data_disk_path(image, folder).map(|path| (ImagePart::DataDisk, path));
    [(ImagePart::Manifest, manifest_path(image, folder))].into_iter().chain(artifacts).chain(data).collect()
}

/// The disk for data that comes with an image, where it brings images of containers on one.
fn data_disk_path(image: &Image, folder: &Path) -> Option<PathBuf> {
    image.has_data_images().then(|| path_of(image, folder, DATA_DISK_ENDING))
}

fn artifacts(image: &Image, folder: &Path) -> impl Iterator<Item = (Artifact, PathBuf)> {
    image.artifacts.iter().map(move |artifact| (*artifact, path_of(image, folder, artifact.ending())))
}

fn manifest_path(image: &Image, folder: &Path) -> PathBuf {
    path_of(image, folder, MANIFEST_ENDING)
}

fn path_of(image: &Image, folder: &Path, ending: &str) -> PathBuf {
    folder.join(image.name().file(image.architecture, ending))
}
