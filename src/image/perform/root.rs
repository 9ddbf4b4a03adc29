//! `Assemble::Root`: trees laid over each other.

use std::sync::Arc;

use super::{AssembleError, Make, Work};
use crate::{
    content::{Digest, Tree},
    image::root,
    plan::{self, Outcome},
    store::StoreError,
};

impl Make for plan::Root<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let trees: Result<Vec<Tree>, StoreError> =
            self.layers.iter().map(|layer| work.store.tree(layer.tree).map(Arc::unwrap_or_clone)).collect();
        let root = root::build(&self.layers, trees?)?;
        work.owned(&root.tree, &root.owners)
    }
}
