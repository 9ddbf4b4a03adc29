//! `Assemble::Esp`: an EFI system partition.

use brc_contract::partition::MAX_ESP_BYTES;

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, RelPath, rel_path},
    image::{
        esp,
        fat::{self, FatFile},
    },
    plan::{self, Outcome},
};

impl Make for plan::Esp<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let mut content = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let (opened, size) = work.open(&file.from)?;
            content.push(FatFile { path: file.to.clone(), content: opened, size });
        }
        let sizes: Vec<(RelPath, u64)> = content.iter().map(|file| (file.path.clone(), file.size)).collect();
        let needed = esp::needed_size(&sizes);
        let size = self.size.unwrap_or(needed);
        if size < needed || size > MAX_ESP_BYTES {
            return Err(AssembleError::EspSize { size, needed });
        }
        let scratch = work.scratch()?;
        scratch.file.set_len(size).map_err(|source| AssembleError::Io { what: "ESP", source })?;
        fat::write(&fat::Volume { size, id: self.volume_id, label: None, epoch: self.epoch }, &content, &scratch.file)?;
        let (blob, size) = work.store.put_file(&scratch.path)?;
        work.only("esp", &file_tree([(rel_path!("esp.img"), blob, size)])?)
    }
}
