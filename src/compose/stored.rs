//! Images where they lie in the store, without a file that leaves it.

use std::{collections::BTreeMap, path::PathBuf};

use super::{ComposeError, ComposeOrder, Locked, Project, Session};
use crate::{
    build::Known,
    content::{Digest, Entry, RelPath},
    graph::{Artifact, Image},
    plan::{Goal, ImagePart, Lowered, Source},
    store::StoreError,
};

/// The trees of goals.
type Goals = BTreeMap<Goal, Digest>;

/// An image as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// The image as people say it: `quickstart x86_64`.
    pub title: String,
    /// Its disk.
    pub disk: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The disk for data that comes with it, where it brings images of containers on one.
    pub data_disk: Option<PathBuf>,
    /// The most bytes that its root may have, where its recipe says so.
    pub budget: Option<u64>,
}

/// What becomes of an image that is not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is built.
    Built,
    /// It is an error.
    Refused,
}

impl Session<'_> {
    /// The images of an order where they lie in the store, one for each architecture.
    ///
    /// # Errors
    /// What composing them says; with [`Absent::Refused`] an image that was not composed as its recipes say now.
    pub fn stored_images(
        &self,
        project: &Project,
        order: &ComposeOrder,
        absent: Absent,
    ) -> Result<Vec<StoredImage>, ComposeError> {
        let locked = if absent == Absent::Built { Locked::Completed } else { Locked::AsItIs };
        let images = self.images(project, order, locked)?;
        let mut lowered = self.lower(project, &images)?;
        lowered.plan.goals.retain(|(goal, _)| goal.is_composed());
        let goals = match absent {
            Absent::Built => self.build(&lowered)?.goals,
            Absent::Refused => {
                let not_composed = || ComposeError::NotComposed { image: order.variant.to_string() };
                self.known_goals(&lowered)?.ok_or_else(not_composed)?
            }
        };
        images.iter().map(|image| self.stored_image(image, &goals)).collect()
    }

    /// What every goal of a plan has given, when that is known.
    fn known_goals(&self, lowered: &Lowered) -> Result<Option<Goals>, ComposeError> {
        let known = self.look(lowered)?;
        let tree = |source: &Source| match source {
            Source::Tree(digest) => Some(*digest),
            Source::Output { step, output } => match known.get(step.0)? {
                Known::Done(_, _, outcome) => outcome.get(output).copied(),
                Known::Waiting | Known::Ready(..) => None,
            },
        };
        Ok(lowered.plan.goals.iter().map(|(goal, source)| Some((goal.clone(), tree(source)?))).collect())
    }

    fn stored_image(&self, image: &Image, goals: &Goals) -> Result<StoredImage, ComposeError> {
        let title = image.title();
        let path = |part| -> Result<PathBuf, ComposeError> {
            let goal = Goal::of_image(&title, part);
            let tree = goals.get(&goal).copied().ok_or(ComposeError::NoGoal { goal })?;
            self.file_of(tree)
        };
        Ok(StoredImage {
            disk: path(ImagePart::Artifact(Artifact::DISK))?,
            manifest: path(ImagePart::Manifest)?,
            data_disk: image.has_data_images().then(|| path(ImagePart::DataDisk)).transpose()?,
            budget: image.layout.budget.as_ref().map(|(bytes, _)| *bytes),
            title,
        })
    }

    /// Where the one file of a tree lies.
    fn file_of(&self, tree: Digest) -> Result<PathBuf, ComposeError> {
        let files = self.store.tree(tree).map_err(ComposeError::Store)?;
        let blob = files.entries().find_map(|(_, entry)| match entry {
            Entry::File { blob, .. } => Some(*blob),
            Entry::Directory | Entry::Symlink { .. } => None,
        });
        let nothing = || ComposeError::Store(StoreError::NoFile { tree, path: RelPath::ROOT });
        Ok(self.store.blob_path(blob.ok_or_else(nothing)?))
    }
}
