//! `Assemble::BootRecord`: what a root says of the files that start it.

use std::collections::BTreeMap;

use brc_contract::well_known;

use super::{AssembleError, Make, Work};
use crate::{
    content::{Digest, rel_path},
    image::boot_record::BootRecord,
    plan::{self, Outcome},
};

impl Make for plan::BootRecord<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let mut digests = BTreeMap::new();
        for file in &self.files {
            let (blob, _) = work.store.file_in(file.from.tree, &file.from.path)?;
            digests.insert(file.to.clone(), work.store.sha256_of(blob)?);
        }
        let record = BootRecord::of(work.read(&self.uki)?, digests)?.encode()?;
        work.file("record", rel_path!(well_known::BOOT_RECORD), &record)
    }
}
