//! What is wanted of a plan.

use std::fmt;

use super::{Source, StepId};
use crate::{
    content::Digest,
    graph::{Artifact, Role},
};

/// A tree that is wanted, by what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// A part of an image.
    Image {
        /// The image's title: `quickstart x86_64`.
        image: String,
        /// The part.
        part: ImagePart,
    },
    /// The tree that answers a question of the lock.
    Fetched(Digest),
    /// An output of a step, for whoever wants to look at it.
    Output {
        /// The step.
        step: StepId,
        /// The output's name.
        output: String,
    },
}

/// What is wanted of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImagePart {
    /// The tree of its root.
    Root,
    /// The file system of its root.
    RootImage,
    /// Its manifest.
    Manifest,
    /// Its disk, in one of the forms that it is published in.
    Artifact(Artifact),
    /// The disk for data that comes with it, where it brings images of containers on one.
    DataDisk,
    /// The tool set that does something for it.
    Tool(Role),
}

impl Goal {
    /// A part of the image with this title.
    pub fn of_image(title: &str, part: ImagePart) -> Self {
        Goal::Image { image: title.to_owned(), part }
    }

    /// An output of a step as a goal, and where it is.
    pub fn output(step: StepId, output: &str) -> (Self, Source) {
        let output = output.to_owned();
        (Goal::Output { step, output: output.clone() }, Source::Output { step, output })
    }

    /// Whether it is a part of an image that leaves brc, or is looked at before one does.
    pub fn is_composed(&self) -> bool {
        matches!(self, Goal::Image { part, .. } if !matches!(part, ImagePart::Tool(_)))
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Image { image, part } => {
                let part = match part {
                    ImagePart::Root => "root",
                    ImagePart::RootImage => "root image",
                    ImagePart::Manifest => "manifest",
                    ImagePart::DataDisk => "data disk",
                    ImagePart::Artifact(artifact) => artifact.ending(),
                    ImagePart::Tool(role) => role.name(),
                };
                write!(f, "{image} {part}")
            }
            Goal::Fetched(question) => write!(f, "the tree that answers {question}"),
            Goal::Output { step, output } => write!(f, "output {output} of step {}", step.0),
        }
    }
}
