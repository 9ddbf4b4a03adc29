//! `Assemble::Visible`: what the running machine would hide is made at boot.

use std::sync::Arc;

use super::{AssembleError, Make, OWNERS, Work};
use crate::{
    content::{Digest, Entry, rel_path},
    image::factory::{self, FactoryError},
    plan::{self, Outcome},
};

impl Make for plan::Visible<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let owners = work.text_in(self.owners, rel_path!(OWNERS))?;
        let tree = work.store.tree(self.tree).map(Arc::unwrap_or_clone)?;
        let mut visible = factory::visible(tree, &owners, &self.stated)?;
        for (path, text) in visible.lists {
            let blob = work.store.put(text.as_bytes())?;
            let entry = Entry::File { blob, size: text.len() as u64, executable: false };
            visible.tree.insert(path, entry).map_err(FactoryError::from)?;
        }
        work.owned(&visible.tree, &visible.owners)
    }
}
