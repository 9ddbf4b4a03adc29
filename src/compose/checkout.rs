//! Components that a developer builds from a folder of his own instead of their locked source.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ComposeError, Project, source_tree};
use crate::{
    graph::Image,
    recipe::{Checkout, Name, Recipes},
    store::Store,
};

/// A folder that takes the place of a component's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSource {
    /// The folder.
    pub folder: PathBuf,
    /// Who says so.
    pub stated: Stated,
}

/// Where a local source is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// On the command line, for this run alone.
    Here,
    /// In `brc.local.kdl`, for every run of the project, whatever it composes.
    InProject,
}

impl Project {
    /// Has a component, named with or without its set, built from a folder.
    ///
    /// # Errors
    /// A name that no component has, or several.
    pub fn check_out(&mut self, component: &str, folder: &Path) -> Result<(), ComposeError> {
        let fits = |name: &&Name| name.to_string() == component || name.name == component;
        let found: Vec<&Name> = self.recipes.components.keys().filter(fits).collect();
        let [name] = found.as_slice() else {
            let known = if found.is_empty() { self.recipes.components.keys().collect() } else { found };
            let known = known.into_iter().map(Name::to_string).collect();
            return Err(ComposeError::NoComponent { wanted: component.to_owned(), known });
        };
        let name = (*name).clone();
        self.checkouts.insert(name, LocalSource { folder: folder.to_owned(), stated: Stated::Here });
        Ok(())
    }

    /// Has the components of `images` built from the folders that the developer says: their versions name what is in
    /// them, and manifests say so. A line for people about each folder that `brc.local.kdl` names: nothing else of what
    /// they see says that an image is not made of locked sources alone.
    ///
    /// # Errors
    /// A folder that cannot be read, or a component that is not built, or that the command line names in vain.
    pub(super) fn use_checkouts(&self, images: &mut [Image], store: &Store) -> Result<Vec<String>, ComposeError> {
        let mut lines = Vec::new();
        for (own, LocalSource { folder, stated }) in &self.checkouts {
            let name = own.to_string();
            let components = images.iter_mut().flat_map(Image::every_component_mut);
            let mut own_components = components.filter(|component| component.name == name).peekable();
            if own_components.peek().is_none() {
                match stated {
                    Stated::Here => return Err(ComposeError::NotIncluded { component: name }),
                    Stated::InProject => lines
                        .push(format!("warning: `brc.local.kdl` has a source of `{own}`, which is not composed here")),
                }
                continue;
            }
            if *stated == Stated::InProject {
                lines.push(format!("`{own}` is built from `{}`, as `brc.local.kdl` says", folder.display()));
            }
            let tree = store.put_tree(&source_tree(folder, store)?).map_err(ComposeError::Store)?;
            for component in own_components {
                if component.recipe.is_none() {
                    return Err(ComposeError::NotBuilt { component: name });
                }
                component.checkout = Some(tree);
                let version = if component.version.is_empty() { "0" } else { &component.version };
                component.version = format!("{version}+dev.{}", tree.to_string().get(..8).unwrap_or_default());
            }
        }
        Ok(lines)
    }
}

/// The folders that `brc.local.kdl` names.
pub(super) fn stated(root: &Path, recipes: &Recipes) -> BTreeMap<Name, LocalSource> {
    // No braces are left to fill: reading refused them.
    let folder = |checkout: &Checkout| Some(root.join(checkout.folder.fill(|_| None)?.as_str()));
    let local = |folder| LocalSource { folder, stated: Stated::InProject };
    let stated = recipes.checkouts.iter().filter_map(|(name, own)| Some((name.clone(), local(folder(own)?))));
    stated.collect()
}
