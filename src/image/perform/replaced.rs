//! `Assemble::Replaced`: other content in some files of a tree.

use std::sync::Arc;

use super::{AssembleError, Make, Work};
use crate::{
    content::Digest,
    image::module,
    plan::{self, Outcome},
};

impl Make for plan::Replaced<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let tree = work.store.tree(self.tree).map(Arc::unwrap_or_clone)?;
        work.only("root", &module::replaced(tree, &*work.store.tree(self.with)?))
    }
}
