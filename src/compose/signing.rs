//! The keys that a plan is signed with: read when something is left to sign, missed before anything is built.

use std::{collections::BTreeSet, fs, path::Path};

use super::{ComposeError, Session};
use crate::{
    build::Known,
    content::Digest,
    image::{Assembler, SigningKey},
    plan::{Action, Assemble, FileOf, Lowered, Source},
};

impl Session<'_> {
    /// The keys for what the goals of a plan want signed and what is not signed yet.
    ///
    /// One that is missing is a warning: a kernel takes minutes to be compiled, but its modules may turn out to be what
    /// was signed before.
    ///
    /// # Errors
    /// A file that cannot be read or holds no key that signs.
    pub(super) fn keys_for(&self, lowered: &Lowered) -> Result<Vec<SigningKey>, ComposeError> {
        let certificates = self.unsigned_for(lowered)?;
        if certificates.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.signing_keys.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let assembler = Assembler::new(self.store.clone()).with_keys(keys.clone());
        let missing: BTreeSet<String> =
            certificates.iter().filter_map(|one| Some(assembler.signer(one).err()?.to_string())).collect();
        for what in missing {
            (self.status)(&format!("warning: {what}; else this stops where there are modules to sign"));
        }
        Ok(keys)
    }

    /// The certificates of the steps that sign and have not done so.
    fn unsigned_for(&self, lowered: &Lowered) -> Result<Vec<FileOf<Digest>>, ComposeError> {
        let steps = &lowered.plan.steps;
        let signs = |action: &Action<Source>| matches!(action, Action::Assemble(Assemble::SignedModules(_)));
        if !steps.iter().any(|step| signs(&step.action)) {
            return Ok(Vec::new());
        }
        let known = self.look(lowered)?;
        let wanted = lowered.plan.wanted();
        let open = wanted.iter().filter(|id| !matches!(known.get(id.0), Some(Known::Done(..))));
        let certificates = open.filter_map(|id| match &steps.get(id.0)?.action {
            Action::Assemble(Assemble::SignedModules(signed)) => match signed.certificate.tree {
                Source::Tree(tree) => Some(FileOf { tree, path: signed.certificate.path.clone() }),
                Source::Output { .. } => None,
            },
            _ => None,
        });
        Ok(certificates.collect())
    }
}

fn read(path: &Path) -> Result<SigningKey, ComposeError> {
    let bytes = fs::read(path).map_err(|source| ComposeError::Read { path: path.to_owned(), source })?;
    SigningKey::from_pem(&bytes).map_err(|source| ComposeError::SigningKey { path: path.to_owned(), source })
}
