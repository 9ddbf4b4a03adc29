//! Whether what is to be signed can be, asked before anything is built: a kernel takes minutes to be compiled.

use std::collections::BTreeSet;

use super::{ComposeError, Session};
use crate::{
    build::Known,
    graph::{BuildStep, Image},
    image::AssembleError,
    plan::{Action, Assemble, FileOf, Lowered, Source, sign_stage},
    recipe::BuildSystem,
};

impl Session<'_> {
    /// Looks for the keys of what brings modules and is not signed yet: kernels, and components with `kbuild`.
    ///
    /// Without any key that is a warning: what is to be built may turn out to be what was signed before.
    ///
    /// # Errors
    /// A certificate that is none, or whose key is not among those that were given.
    pub(super) fn check_signers(&self, images: &[Image], lowered: &Lowered) -> Result<(), ComposeError> {
        let is_signed = |image: &&Image| image.kernel.module_certificate.is_some();
        let stages: Vec<String> = images.iter().filter(is_signed).flat_map(bringing_modules).map(sign_stage).collect();
        if stages.is_empty() {
            return Ok(());
        }
        let known = self.look(lowered)?;
        let mut warnings = BTreeSet::new();
        for (step, known) in lowered.plan.steps.iter().zip(known) {
            let Action::Assemble(Assemble::SignedModules { certificate, .. }) = &step.action else { continue };
            if matches!(known, Known::Done(..)) || !stages.contains(&step.stage) {
                continue;
            }
            if let Source::Tree(tree) = certificate.tree {
                let certificate = FileOf { tree, path: certificate.path.clone() };
                match self.assembler().signer(&certificate) {
                    Ok(_) => {}
                    Err(error @ AssembleError::NoSigningKey { given: 0, .. }) => {
                        warnings.insert(format!("warning: {error}; else this stops where there are modules to sign"));
                    }
                    Err(error) => return Err(ComposeError::Signer(error)),
                }
            }
        }
        warnings.iter().for_each(|warning| (self.talk)(warning));
        Ok(())
    }
}

fn bringing_modules(image: &Image) -> impl Iterator<Item = &str> {
    let is_kbuild = |step: &BuildStep| matches!(step, BuildStep::System { system: BuildSystem::Kbuild, .. });
    let built = image.components.iter().filter_map(|component| Some((component, component.recipe.as_ref()?)));
    let built = built.filter(move |(_, recipe)| recipe.steps.iter().any(is_kbuild)).map(|(component, _)| component);
    built.map(|component| component.name.as_str()).chain([image.kernel.name.as_str()])
}
