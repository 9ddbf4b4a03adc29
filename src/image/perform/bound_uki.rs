//! `Assemble::BoundUki`: a unified kernel image that names its root.

use super::{AssembleError, HashTree, Make, UKI, Work};
use crate::{
    content::{Digest, rel_path},
    image::uki::{self, VerifiedRoot},
    plan::{self, Outcome},
};

impl Make for plan::BoundUki<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let HashTree { root_hash, data_blocks, .. } = work.hash_tree(self.verity)?;
        let bound = uki::bind(work.read(&self.uki)?, &VerifiedRoot { root_hash, data_blocks, salt: &self.salt })?;
        work.file("uki", rel_path!(UKI), &bound)
    }
}
