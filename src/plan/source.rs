//! Where an action gets a tree from.

use crate::content::Digest;

/// The number of a step in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// Where an action gets a tree from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A tree whose digest is known while planning: files that lie beside the recipes.
    Tree(Digest),
    /// An output of an earlier step.
    Output {
        /// The step.
        step: StepId,
        /// The output's name.
        output: String,
    },
}
