//! `Assemble::Verity`: the dm-verity hash tree of a file.

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, Sha256, rel_path},
    image::verity::{self, Superblock},
    plan::{self, Outcome, layout::BLOCK},
};

impl Make for plan::Verity<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let (data_file, size) = work.open(&self.data)?;
        if size == 0 || !size.is_multiple_of(BLOCK) {
            return Err(AssembleError::DataSize { path: self.data.path.clone(), size });
        }
        let superblock = Superblock { uuid: self.uuid, data_blocks: size / BLOCK, salt: self.salt };
        let scratch = work.scratch()?;
        let tell = |bytes| work.tell(bytes, size);
        let root_hash = verity::write_hash_file(&data_file, &superblock, &scratch.file, &tell)
            .map_err(|source| AssembleError::Io { what: "hash tree", source })?;
        let (hash, hash_size) = work.store.put_file(&scratch.path)?;
        let text = Sha256::from_bytes(root_hash).to_string();
        let blocks = superblock.data_blocks.to_string();
        let tree = file_tree([
            (rel_path!("hash"), hash, hash_size),
            (rel_path!("root-hash"), work.store.put(text.as_bytes())?, text.len() as u64),
            (rel_path!("data-blocks"), work.store.put(blocks.as_bytes())?, blocks.len() as u64),
        ])?;
        work.only("verity", &tree)
    }
}
