//! Who brings a path into an image: stated where packages and recipes decide it, else looked up in the root as built.

use super::{ComposeError, ComposeOrder, Locked, Project, Session};
use crate::{
    content::{Digest, FolderLinks, RelPath, Tree, rel_path},
    graph::{Component, Flat, Image},
    image::build_root,
    plan::{Action, Assemble, Goal, HOST_FILES_OWNER, Lowered, Root, RootLayer, Source, StepId},
};

/// Who brings a path into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A component, a kernel or a package.
    Named(String),
    /// What brc adds to every root.
    Brc,
    /// What runs over the merged root.
    Finish,
}

impl Session<'_> {
    /// Who brings a path into an image, and where the path really is: `/bin/sh` is `/usr/bin/sh` where `/bin` is a
    /// link. Packages are fetched for it; the root is built only where what they and the recipes say does not decide
    /// it. None when the image has no such path.
    ///
    /// # Errors
    /// What building the root could say, or a path that leads around in a circle.
    pub fn owner_of(
        &self,
        project: &Project,
        order: &ComposeOrder,
        flat: &Flat,
        path: &RelPath,
    ) -> Result<Option<(Owner, RelPath)>, ComposeError> {
        let mut images = self.images(project, order, Locked::AsItIs)?;
        images.retain(|image| image.architecture == flat.situation.architecture);
        let mut lowered = self.lower(project, &images)?;
        if let Some((owner, path)) = self.stated_owner(&mut lowered, &images, path)? {
            return Ok(Some((named_owner(flat, owner), path)));
        }
        self.built_owner(&mut lowered, flat, path)
    }

    /// Who brings a path by the root as it is built.
    fn built_owner(
        &self,
        lowered: &mut Lowered,
        flat: &Flat,
        path: &RelPath,
    ) -> Result<Option<(Owner, RelPath)>, ComposeError> {
        let variant = &flat.name.value.name;
        let step = |stage| lowered.plan.step(variant, stage);
        let merged = step("root").into_iter().flat_map(|root| [(root, "owners"), (root, "root")]);
        let outputs: Vec<(StepId, &str)> = merged.chain(step("finish").map(|finish| (finish, "root"))).collect();
        let goals = lowered.plan.want_outputs(outputs);
        let built = self.build(lowered)?;
        let trees: Vec<Digest> = goals.iter().filter_map(|goal| built.goals.get(goal).copied()).collect();
        let [owners, root, finished @ ..] = trees.as_slice() else { return Ok(None) };
        let links = FolderLinks::of([&*self.store.tree(*root).map_err(ComposeError::Store)?]);
        let path = links.real(path).map_err(|error| ComposeError::EndlessLink { link: error.link })?;
        let (blob, _) = self.store.file_in(*owners, &rel_path!("owners")).map_err(ComposeError::Store)?;
        let owners = self.store.read(blob).map_err(ComposeError::Store)?;
        if let Some(owner) = owner_in(&String::from_utf8_lossy(&owners), &path) {
            return Ok(Some((named_owner(flat, owner), path)));
        }
        let Some(finished) = finished.first() else { return Ok(None) };
        let finished = self.store.tree(*finished).map_err(ComposeError::Store)?;
        Ok(finished.entry(&path).map(|_| (Owner::Finish, path.clone())))
    }

    /// Who brings a path and where it really is, where the locked packages and what recipes place decide it: for that
    /// packages are fetched and nothing is built.
    fn stated_owner(
        &self,
        lowered: &mut Lowered,
        images: &[Image],
        path: &RelPath,
    ) -> Result<Option<(String, RelPath)>, ComposeError> {
        let installs = |component: &&Component| {
            component.recipe.as_ref().is_some_and(|recipe| recipe.installs.iter().any(|install| install.to == *path))
        };
        if let Some(component) = images.iter().flat_map(|image| &image.components).find(installs) {
            return Ok(Some((component.name.clone(), path.clone())));
        }
        let root = images.iter().find_map(|image| lowered.plan.step(&image.variant, "root"));
        let root = root.and_then(|root| lowered.plan.steps.get(root.0)).map(|step| step.action.clone());
        let Some(Action::Assemble(Assemble::Root(Root { layers }))) = root else { return Ok(None) };
        let is_stated = |source: &Source| match source {
            Source::Tree(_) => true,
            Source::Output { step, .. } => {
                lowered.plan.steps.get(step.0).is_some_and(|step| matches!(step.action, Action::Fetch(_)))
            }
        };
        let (stated, built): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| is_stated(&layer.tree));
        let Some((layers, trees)) = self.fetched_layers(lowered, stated)? else { return Ok(None) };
        let Ok(path) = FolderLinks::of(&trees).real(path) else { return Ok(None) };
        // What a build makes may take the path from a package; two owners are told by the build of the root itself.
        let is_taken = built.iter().any(|layer| layer.replaces.contains(&path));
        let Some(root) = build_root(&layers, trees).ok().filter(|_| !is_taken) else { return Ok(None) };
        Ok(owner_in(&root.owners, &path).map(|owner| (owner, path)))
    }

    /// Layers whose trees are stated or fetched, and those trees; none where one cannot be had.
    fn fetched_layers(
        &self,
        lowered: &mut Lowered,
        stated: Vec<RootLayer<Source>>,
    ) -> Result<Option<(Vec<RootLayer<Digest>>, Vec<Tree>)>, ComposeError> {
        let outputs = stated.iter().filter_map(|layer| match &layer.tree {
            Source::Tree(_) => None,
            Source::Output { step, output } => Some((*step, output.as_str())),
        });
        lowered.plan.want_outputs(outputs);
        let fetched = self.build(lowered)?;
        let (mut layers, mut trees) = (Vec::with_capacity(stated.len()), Vec::with_capacity(stated.len()));
        for layer in stated {
            let digest = match &layer.tree {
                Source::Tree(digest) => Some(*digest),
                Source::Output { step, output } => fetched.goals.get(&Goal::output(*step, output).0).copied(),
            };
            let Some(tree) = digest else { return Ok(None) };
            trees.push((*self.store.tree(tree).map_err(ComposeError::Store)?).clone());
            let RootLayer { owner, drop, replaces, users, .. } = layer;
            layers.push(RootLayer { owner, tree, drop, replaces, users });
        }
        Ok(Some((layers, trees)))
    }
}

/// The owner of a path by the list that comes with a root: `OWNER<tab>/PATH` in each line.
fn owner_in(owners: &str, path: &RelPath) -> Option<String> {
    let mut owners = owners.lines().filter_map(|line| line.split_once('\t'));
    let (owner, _) = owners.find(|(_, owned)| owned.trim_start_matches('/') == path.as_str())?;
    Some(owner.to_owned())
}

/// The owner as the root names it.
fn named_owner(flat: &Flat, owner: String) -> Owner {
    let is_component = flat.components.iter().any(|component| component.name.to_string() == owner);
    if owner == HOST_FILES_OWNER && !is_component { Owner::Brc } else { Owner::Named(owner) }
}
