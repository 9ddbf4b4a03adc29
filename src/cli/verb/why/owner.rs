//! Who brings a path into an image.

use crate::{
    build::AfterFailure,
    cli::{CliError, context::Context},
    compose::{Locked, Order, Project, Session},
    content::{Digest, FolderLinks, RelPath, Tree, rel_path},
    graph::{Component, Flat, Image},
    image::build_root,
    plan::{Action, Assemble, Goal, HOST_FILES_OWNER, Lowered, Root, RootLayer, Source, Step, StepId},
};

/// Who brings a path into an image.
pub(super) enum Owner {
    /// A component, a kernel or a package.
    Named(String),
    /// What brc adds to every root.
    Brc,
    /// What runs over the merged root.
    Finish,
}

/// Who brings a path into the image, and where the path really is: `/bin/sh` is `/usr/bin/sh` where `/bin` is a link.
/// Packages and recipes say so where they decide it; else it is looked up in the root as it is built.
pub(super) fn owner_of(
    context: &Context,
    project: &Project,
    order: &Order,
    flat: &Flat,
    what: &str,
) -> Result<Option<(Owner, String)>, CliError> {
    let path = RelPath::from_absolute(what).map_err(|error| CliError::Usage(error.to_string()))?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut images = session.images(project, order, Locked::AsItIs)?;
    images.retain(|image| image.architecture == flat.situation.architecture);
    let mut lowered = session.lower(project, &images)?;
    if let Some((owner, path)) = stated_owner(&session, &mut lowered, &images, &path)? {
        return Ok(Some((named_owner(flat, owner), path.to_string())));
    }
    let goal = |stage: &str, output: &str| {
        let is_it = |step: &Step| step.stage == stage && step.component == flat.name.value.name;
        let step = StepId(lowered.plan.steps.iter().position(is_it)?);
        Some(Goal::output(step, output))
    };
    let goals = [goal("root", "owners"), goal("root", "root"), goal("finish", "root")];
    lowered.plan.goals = goals.iter().flatten().cloned().collect();
    let built = session.build(&lowered)?;
    let [owners, root, finished] = goals.map(|goal| built.goals.get(&goal?.0).copied());
    let (Some(root), Some(owners)) = (root, owners) else { return Ok(None) };
    let links = FolderLinks::of([&*session.store.tree(root)?]);
    let path =
        links.real(&path).map_err(|error| CliError::Found(format!("`{}` leads around in a circle", error.link)))?;
    let (blob, _) = session.store.file_in(owners, &rel_path!("owners"))?;
    let text = String::from_utf8_lossy(&session.store.read(blob)?).into_owned();
    let mut owners = text.lines().filter_map(|line| line.split_once('\t'));
    if let Some((owner, _)) = owners.find(|(_, owned)| owned.trim_start_matches('/') == path.as_str()) {
        return Ok(Some((named_owner(flat, owner.to_owned()), path.to_string())));
    }
    let Some(finished) = finished else { return Ok(None) };
    Ok(session.store.tree(finished)?.entry(&path).map(|_| (Owner::Finish, path.to_string())))
}

/// The owner as the root names it.
fn named_owner(flat: &Flat, owner: String) -> Owner {
    let is_component = flat.components.iter().any(|component| component.name.to_string() == owner);
    if owner == HOST_FILES_OWNER && !is_component { Owner::Brc } else { Owner::Named(owner) }
}

/// Who brings a path and where it really is, where the locked packages and what recipes place decide it: for that
/// packages are fetched and nothing is built.
fn stated_owner(
    session: &Session<'_>,
    lowered: &mut Lowered,
    images: &[Image],
    path: &RelPath,
) -> Result<Option<(String, RelPath)>, CliError> {
    let installs = |component: &&Component| {
        component.recipe.as_ref().is_some_and(|recipe| recipe.installs.iter().any(|install| install.to == *path))
    };
    if let Some(component) = images.iter().flat_map(|image| &image.components).find(installs) {
        return Ok(Some((component.name.clone(), path.clone())));
    }
    let is_root = |step: &&Step| step.stage == "root" && images.iter().any(|image| image.variant == step.component);
    let root = lowered.plan.steps.iter().find(is_root).map(|step| step.action.clone());
    let Some(Action::Assemble(Assemble::Root(Root { layers }))) = root else { return Ok(None) };
    let is_stated = |source: &Source| match source {
        Source::Tree(_) => true,
        Source::Output { step, .. } => {
            lowered.plan.steps.get(step.0).is_some_and(|step| matches!(step.action, Action::Fetch(_)))
        }
    };
    let (stated, built): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| is_stated(&layer.tree));
    let Some((layers, trees)) = fetched_layers(session, lowered, stated)? else { return Ok(None) };
    let Ok(path) = FolderLinks::of(&trees).real(path) else { return Ok(None) };
    // What a build makes may take the path from a package; two owners are told by the build of the root itself.
    let is_taken = built.iter().any(|layer| layer.replaces.contains(&path));
    let Some(root) = build_root(&layers, trees).ok().filter(|_| !is_taken) else { return Ok(None) };
    let mut owners = root.owners.lines().filter_map(|line| line.split_once('\t'));
    let owner = owners.find(|(_, owned)| owned.trim_start_matches('/') == path.as_str());
    Ok(owner.map(|(owner, _)| (owner.to_owned(), path)))
}

/// Layers whose trees are stated or fetched, and those trees; none where one cannot be had.
fn fetched_layers(
    session: &Session<'_>,
    lowered: &mut Lowered,
    stated: Vec<RootLayer<Source>>,
) -> Result<Option<(Vec<RootLayer<Digest>>, Vec<Tree>)>, CliError> {
    let goal = |source: &Source| match source {
        Source::Tree(_) => None,
        Source::Output { step, output } => Some(Goal::output(*step, output)),
    };
    lowered.plan.goals = stated.iter().filter_map(|layer| goal(&layer.tree)).collect();
    let fetched = session.build(lowered)?;
    let (mut layers, mut trees) = (Vec::with_capacity(stated.len()), Vec::with_capacity(stated.len()));
    for layer in stated {
        let digest = match &layer.tree {
            Source::Tree(digest) => Some(*digest),
            source => goal(source).and_then(|(goal, _)| fetched.goals.get(&goal).copied()),
        };
        let Some(tree) = digest else { return Ok(None) };
        trees.push((*session.store.tree(tree)?).clone());
        let RootLayer { owner, drop, replaces, users, .. } = layer;
        layers.push(RootLayer { owner, tree, drop, replaces, users });
    }
    Ok(Some((layers, trees)))
}
