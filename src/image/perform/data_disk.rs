//! `Assemble::DataDisk`: archives of a root become partitions of a disk.

use std::{fs::File, sync::Arc};

use brc_contract::{Guid, well_known};

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, Entry, RelPath, Tree, rel_path},
    image::{
        data_disk::{self, DataImage},
        module,
    },
    plan::{self, Outcome},
};

impl Make for plan::DataDisk<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let mut tree = work.store.tree(self.tree).map(Arc::unwrap_or_clone)?;
        let folder = rel_path!(well_known::DATA_ARCHIVES);
        let archives = archives(work, &tree, &folder)?;
        let total = archives.iter().map(|(image, _)| image.size).sum();
        let mut scratch = work.scratch()?;
        let guid = Guid::from_bytes(self.guid);
        data_disk::write(guid, &archives, self.size, &mut scratch.file, &|bytes| work.tell(bytes, total))?;
        let images: Vec<DataImage> = archives.into_iter().map(|(image, _)| image).collect();
        tree.drop_where(|path, _| *path == folder);
        let text = data_disk::list_text(&images);
        let list = (rel_path!(well_known::DATA_IMAGES), work.store.put(text.as_bytes())?, text.len() as u64);
        let tree = module::replaced(tree, &file_tree([list])?);
        let (blob, size) = work.store.put_file(&scratch.path)?;
        let disk = file_tree([(rel_path!("data.raw"), blob, size)])?;
        Ok(Outcome::from([
            ("disk".to_owned(), work.store.put_tree(&disk)?),
            ("root".to_owned(), work.store.put_tree(&tree)?),
        ]))
    }
}

/// The archives in a folder of a tree, sorted by name.
fn archives(work: &Work<'_>, tree: &Tree, folder: &RelPath) -> Result<Vec<(DataImage, File)>, AssembleError> {
    let mut found = Vec::new();
    for (path, entry) in tree.entries().filter(|(path, _)| path.parent().as_ref() == Some(folder)) {
        let Entry::File { blob, size, .. } = entry else { continue };
        let image = DataImage { sha256: work.store.sha256_of(*blob)?, size: *size, name: path.name().to_owned() };
        found.push((image, work.store.open_blob(*blob)?));
    }
    Ok(found)
}
