//! Components that a developer builds from a folder of his own instead of their locked source.

use std::path::Path;

use super::{ComposeError, Project, source_tree};
use crate::{
    graph::Image,
    recipe::{Checkout, Name, Recipes},
    store::Store,
};

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
        self.checkouts.insert((*name).clone(), folder.to_owned());
        Ok(())
    }

    /// Has the components of `images` built from the folders that the developer says: their versions name what is in
    /// them, and manifests say so.
    ///
    /// # Errors
    /// A folder that cannot be read, or a component that is not built.
    pub(super) fn use_checkouts(&self, images: &mut [Image], store: &Store) -> Result<(), ComposeError> {
        for (name, folder) in &self.checkouts {
            let name = name.to_string();
            let components = images.iter_mut().flat_map(Image::every_component_mut);
            let mut own = components.filter(|component| component.name == name).peekable();
            if own.peek().is_none() {
                continue;
            }
            let tree = store.put_tree(&source_tree(folder, store)?).map_err(ComposeError::Store)?;
            for component in own {
                if component.recipe.is_none() {
                    return Err(ComposeError::NotBuilt { component: name });
                }
                component.checkout = Some(tree);
                let version = if component.version.is_empty() { "0" } else { &component.version };
                component.version = format!("{version}+dev.{}", tree.to_string().get(..8).unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// The folders that `brc.local.kdl` names.
pub(super) fn stated(root: &Path, recipes: &Recipes) -> std::collections::BTreeMap<Name, std::path::PathBuf> {
    let folder = |checkout: &Checkout| Some(root.join(checkout.folder.fill(|_| None)?.as_str()));
    let stated = recipes.checkouts.iter().filter_map(|(name, checkout)| Some((name.clone(), folder(checkout)?)));
    stated.collect()
}
