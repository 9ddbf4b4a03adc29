//! `Assemble::PackagedKernel`: a finished kernel, taken out of packages.

use std::sync::Arc;

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, Tree, rel_path},
    image::{
        kernel_drop::{self, KernelDropError},
        packaged_kernel,
    },
    plan::{self, Outcome},
    store::StoreError,
};

impl Make for plan::PackagedKernel<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let trees = self.packages.iter().map(|tree| work.store.tree(*tree).map(Arc::unwrap_or_clone));
        let found = packaged_kernel::find(&trees.collect::<Result<Vec<Tree>, StoreError>>()?)?;
        let content = kernel_drop::without(&found.content, &self.drop, |blob, packing| {
            let unpacked = packaged_kernel::unpack(&work.store.read(blob)?, packing);
            unpacked.map_err(|source| AssembleError::from(KernelDropError::from(source)))
        })?;
        let release = format!("{}\n", found.release);
        let mut boot = file_tree([(rel_path!("release"), work.store.put(release.as_bytes())?, release.len() as u64)])?;
        for (path, entry) in [(rel_path!("kernel"), found.kernel), (rel_path!("config"), found.config)] {
            boot.insert(path, entry)?;
        }
        Ok(Outcome::from([
            ("boot".to_owned(), work.store.put_tree(&boot)?),
            ("modules".to_owned(), work.store.put_tree(&content)?),
        ]))
    }
}
