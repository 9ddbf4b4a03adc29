//! `Assemble::Disk`: GPT, ESP, slots.

use brc_contract::Guid;

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, rel_path},
    image::disk,
    plan::{self, Outcome, layout::BLOCK},
};

impl Make for plan::Disk<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let hash = work.hash_tree(self.verity)?;
        let (esp, esp_size) = work.open(&self.esp)?;
        let (root_file, root_size) = work.open(&self.root)?;
        if root_size != hash.data_blocks * BLOCK {
            return Err(AssembleError::OtherRoot { size: root_size, data_blocks: hash.data_blocks });
        }
        let parts = disk::Parts {
            guid: Guid::from_bytes(self.guid),
            esp: disk::Part { file: &esp, size: esp_size },
            esp_guid: Guid::from_bytes(self.esp_guid),
            root: disk::Part { file: &root_file, size: root_size },
            hash: disk::Part { file: &hash.file, size: hash.size },
            root_hash: &hash.root_hash,
            slots: &self.slots,
            label: &self.label,
            architecture: self.architecture,
        };
        let mut scratch = work.scratch()?;
        let total = esp_size + root_size + hash.size;
        disk::write(&parts, &mut scratch.file, &|bytes| work.tell(bytes, total))?;
        let (blob, size) = work.store.put_file(&scratch.path)?;
        work.only("disk", &file_tree([(rel_path!("disk.raw"), blob, size)])?)
    }
}
