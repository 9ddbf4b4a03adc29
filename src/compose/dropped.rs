//! Paths that recipes have left out of packages and that no package has.

use std::collections::BTreeSet;

use super::{ComposeError, ComposeOrder, Project, Session};
use crate::{
    build::Known,
    content::{Digest, Glob},
    graph::{FlatComponent, FlatKernel, FlatKernelSource, origin},
    image::idle_drops,
    plan::{Action, Assemble, Lowered, PackagedKernel, Root, RootLayer},
    recipe::Spanned,
};

impl Session<'_> {
    /// Tells of each `drop` that drops nothing: a path that is written wrong, a package that is not there any more.
    /// Only when all trees are there can that be known.
    pub(super) fn tell_idle_drops(
        &self,
        project: &Project,
        order: &ComposeOrder,
        lowered: &Lowered,
    ) -> Result<(), ComposeError> {
        let mut owners: BTreeSet<String> = BTreeSet::new();
        let (mut of_root, mut of_kernel) = (Idle::default(), Idle::default());
        for (step, known) in lowered.plan.steps.iter().zip(self.look(lowered)?) {
            match known {
                Known::Done(_, Action::Assemble(Assemble::Root(Root { layers })), _)
                    if step.component == order.variant.name =>
                {
                    of_root.narrow(self.idle_of(&layers)?);
                    owners.extend(layers.into_iter().map(|layer| layer.owner));
                }
                Known::Done(_, Action::Assemble(Assemble::PackagedKernel(PackagedKernel { packages, drop })), _) => {
                    let layer = |tree| RootLayer { drop: drop.clone(), ..RootLayer::plain(&step.component, tree) };
                    of_kernel.narrow(self.idle_of(&packages.into_iter().map(layer).collect::<Vec<_>>())?);
                }
                _ => {}
            }
        }
        let flats = project.flats(&order.variant, &order.architectures)?;
        let components = flats.iter().flat_map(|flat| &flat.components);
        let mut lines: BTreeSet<String> =
            components.flat_map(|component| idle_lines(project, component, of_root.globs(), &owners)).collect();
        lines.extend(flats.iter().flat_map(|flat| kernel_lines(project, &flat.kernel, of_kernel.globs())));
        lines.iter().for_each(|line| (self.status)(line));
        Ok(())
    }

    fn idle_of(&self, layers: &[RootLayer<Digest>]) -> Result<BTreeSet<Glob>, ComposeError> {
        let trees: Result<Vec<_>, _> = layers.iter().map(|layer| self.store.tree(layer.tree)).collect();
        Ok(idle_drops(layers, &trees.map_err(ComposeError::Store)?))
    }
}

/// The globs that fit nothing for any architecture: what one has and another has not is dropped there.
#[derive(Debug, Default)]
struct Idle(Option<BTreeSet<Glob>>);

impl Idle {
    fn narrow(&mut self, found: BTreeSet<Glob>) {
        self.0 = Some(self.0.take().map_or(found.clone(), |idle| idle.intersection(&found).cloned().collect()));
    }

    fn globs(&self) -> &BTreeSet<Glob> {
        const NONE: &BTreeSet<Glob> = &BTreeSet::new();
        self.0.as_ref().unwrap_or(NONE)
    }
}

/// A line for each `drop` of a finished kernel that is one of `idle`.
fn kernel_lines(project: &Project, kernel: &FlatKernel, idle: &BTreeSet<Glob>) -> Vec<String> {
    let FlatKernelSource::Package(finished) = &kernel.source else { return Vec::new() };
    let idle = finished.drop.iter().filter(|glob| idle.contains(&glob.value));
    idle.map(|glob| idle_line(project, glob)).collect()
}

fn idle_line(project: &Project, glob: &Spanned<Glob>) -> String {
    let at = origin(&project.sources, glob.span);
    format!("warning: {at}: `drop \"{}\"` fits nothing; correct it or leave it out", glob.value.as_str())
}

/// A line for each `drop` of a component that is one of `idle`, or speaks of a package that is not one of `owners`.
fn idle_lines(
    project: &Project,
    component: &FlatComponent,
    idle: &BTreeSet<Glob>,
    owners: &BTreeSet<String>,
) -> Vec<String> {
    let at = |glob: &Spanned<Glob>| origin(&project.sources, glob.span);
    let line = |glob: &Spanned<Glob>, from: Option<&str>| {
        let shown = glob.value.as_str();
        match from {
            Some(from) if !owners.contains(from) => {
                Some(format!("warning: {}: `drop \"{shown}\"` speaks of `{from}`, which is not in the image", at(glob)))
            }
            _ if idle.contains(&glob.value) => Some(idle_line(project, glob)),
            _ => None,
        }
    };
    let built = component.build_drop.iter().filter_map(|glob| line(glob, None));
    let packages = component.drop.iter().flat_map(|drop| {
        let from = drop.from.as_ref().map(|package| package.value.as_str());
        drop.globs.iter().filter_map(move |glob| line(glob, from))
    });
    built.chain(packages).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use brc_contract::Architecture;

    use super::*;

    #[test]
    fn a_drop_that_fits_nothing_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = "project \"p\"\n\
            archive \"d\" { suite \"s\"; keyring \"k\"; }\n\
            packages \"g\" archive=\"d\" suite=\"s\" {\n    aa\n    drop \"/fits\" \"/idle\"\n    drop \"/fits\" from=\"bb\"\n}\n\
            kernel \"k\" { config \"k\"; version \"1\"; upstream { url \"https://example.org/k\" sha256=\"0000000000000000000000000000000000000000000000000000000000000000\"; }; }\n\
            variant \"v\" { version \"1\"; arch \"x86_64\"; include \"k\" \"g\"; }\n";
        for (name, text) in [("brc.kdl", recipe), ("k", "")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let project = Project::open(&folder.path().join("brc.kdl")).unwrap_or_else(|error| panic!("{error:?}"));
        let variant = project.variant(None).unwrap();
        let flats = project.flats(&variant, &[Architecture::X86_64]).unwrap_or_else(|error| panic!("{error:?}"));
        let (idle, owners) = ([Glob::new("/idle").unwrap()].into(), ["aa".to_owned()].into());
        let lines = flats.iter().flat_map(|flat| &flat.components);
        let lines: Vec<String> = lines.flat_map(|component| idle_lines(&project, component, &idle, &owners)).collect();
        assert_eq!(
            lines,
            [
                "warning: brc.kdl:5: `drop \"/idle\"` fits nothing; correct it or leave it out",
                "warning: brc.kdl:6: `drop \"/fits\"` speaks of `bb`, which is not in the image"
            ]
        );
    }
}
