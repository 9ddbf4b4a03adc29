//! `Assemble::Modules`: the kernel modules of a tree.

use std::io::Read as _;

use super::{AssembleError, Make, Work};
use crate::{
    content::Digest,
    image::module,
    plan::{self, Outcome},
};

impl Make for plan::Modules<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let modules = module::modules(&*work.store.tree(self.tree)?, |blob| {
            let mut begins = Vec::new();
            let read = work.store.open_blob(blob)?.take(4).read_to_end(&mut begins);
            read.map_err(|source| AssembleError::Io { what: "module", source })?;
            Ok::<_, AssembleError>(begins.try_into().unwrap_or_default())
        })?;
        work.only("modules", &modules)
    }
}
