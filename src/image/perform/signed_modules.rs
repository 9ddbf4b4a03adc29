//! `Assemble::SignedModules`: a signature at the end of each. Without modules no key is asked for.

use std::io;

use super::{AssembleError, Make, Work};
use crate::{
    content::{Digest, Entry, Tree},
    image::module,
    plan::{self, Outcome},
};

impl Make for plan::SignedModules<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let modules = work.store.tree(self.modules)?;
        let (mut signed, mut signer) = (Tree::new(), None);
        for (path, entry) in modules.entries() {
            let Entry::File { blob, executable, .. } = *entry else { continue };
            let (certificate, key) = match &mut signer {
                Some(signer) => signer,
                none => none.insert(work.assembler.signer(&self.certificate)?),
            };
            let bytes = module::signed(work.store.read(blob)?, certificate, key)?;
            let size = bytes.len() as u64;
            let entry = Entry::File { blob: work.store.put(&bytes)?, size, executable };
            signed.insert(path.clone(), entry)?;
            if !work.tell(size, modules.file_bytes()) {
                return Err(AssembleError::Io { what: "module", source: io::ErrorKind::Interrupted.into() });
            }
        }
        work.only("modules", &signed)
    }
}
