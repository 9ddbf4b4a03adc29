//! A part of a project that somebody names: a component, a kernel, a tool set, a package.

use std::collections::BTreeSet;

use super::{ComposeError, ComposeOrder, Project};
use crate::{
    graph::{Flat, FlatComponent},
    recipe::Name,
};

impl Project {
    /// What is ordered of a project when a part of it is named: of which variant, and which component is built though
    /// the variant does not have it. Nothing is locked or fetched for that.
    ///
    /// # Errors
    /// A name that nothing has, several variants of which it could be, or mistakes in recipes.
    pub fn order_of(
        &self,
        named: &str,
        variant: Option<&str>,
        architectures: &[String],
    ) -> Result<ComposeOrder, ComposeError> {
        let component = self.component_named(named)?;
        let variant = match self.variant(variant) {
            Err(ComposeError::SeveralVariants { known }) => self.only_one_with(named, known)?,
            // The file has components alone; the project's variant, or the set's, says what they are built for.
            Err(ComposeError::NoVariantInFile { path, known }) => {
                let own: Vec<String> = self.variants().iter().map(Name::to_string).collect();
                match (own.as_slice(), known.as_slice()) {
                    ([one], _) | ([], [one]) => self.variant(Some(one))?,
                    _ => return Err(ComposeError::NoVariantInFile { path, known }),
                }
            }
            variant => variant?,
        };
        let architectures = self.architectures(&variant, architectures)?;
        let flats = self.flats_with(&variant, &architectures, component.as_ref())?;
        match &component {
            None => self.must_be_known(named, &flats)?,
            Some(name) if !flats.iter().any(|flat| is_made(flat, name)) => {
                return Err(ComposeError::NothingBuilt { component: name.to_string() });
            }
            Some(_) => {}
        }
        Ok(ComposeOrder { variant, architectures, image_version: None, beside: component })
    }

    /// The component of this name, with or without its set: the project's own where several sets have one.
    fn component_named(&self, named: &str) -> Result<Option<Name>, ComposeError> {
        let fits = |name: &&Name| name.to_string() == named || name.name == named;
        let found: Vec<&Name> = self.recipes.components.keys().filter(fits).collect();
        let own = found.iter().find(|name| name.to_string() == named || name.set == self.own_set());
        match (own, found.as_slice()) {
            (Some(name), _) => Ok(Some((*name).clone())),
            (None, []) => Ok(None),
            (None, [name]) => Ok(Some((*name).clone())),
            (None, several) => Err(ComposeError::SeveralParts {
                wanted: named.to_owned(),
                known: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// The only one of several variants that has what is named.
    fn only_one_with(&self, named: &str, known: Vec<String>) -> Result<Name, ComposeError> {
        let mut found = Vec::new();
        for variant in &known {
            let variant = self.variant(Some(variant))?;
            let flats = self.flats(&variant, &self.stated_architectures(&variant))?;
            if flats.iter().any(|flat| parts(flat).contains(named)) {
                found.push(variant);
            }
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(ComposeError::SeveralVariants { known }),
        }
    }

    /// Refuses a name that neither the variant nor the lock knows.
    fn must_be_known(&self, named: &str, flats: &[Flat]) -> Result<(), ComposeError> {
        let lock = self.lock()?;
        let known: BTreeSet<String> = flats.iter().flat_map(parts).collect();
        if known.contains(named) || lock.packages.keys().any(|package| package.name == named) {
            return Ok(());
        }
        let own = self.own_set();
        let components = self.recipes.components.keys().filter(|name| name.set == own);
        let components: Vec<String> = components.map(|name| name.name.clone()).collect();
        let near = crate::recipe::nearest(named, known.iter().chain(&components).map(String::as_str));
        Err(ComposeError::NoPart { wanted: named.to_owned(), near: near.map(str::to_owned), known: components })
    }
}

/// Whether an action makes a component, or the tool set that is called by its name.
fn is_made(flat: &Flat, name: &Name) -> bool {
    let is_built = |component: &FlatComponent| component.name == *name && component.is_built();
    flat.toolsets.contains_key(name) || flat.every_component().any(is_built)
}

/// The names of everything that a variant has or is made with, each with and without its set.
fn parts(flat: &Flat) -> BTreeSet<String> {
    let components = flat.every_component().map(|component| &component.name);
    let tools = flat.toolsets.keys().chain(flat.roles.values().map(|name| &name.value));
    let names = components.chain(tools).chain([&flat.kernel.name, &flat.name.value]);
    let names = names.flat_map(|name| [name.to_string(), name.name.clone()]);
    let packages = flat.every_component().flat_map(|component| &component.packages);
    names.chain(packages.map(|package| package.package.name.value.clone())).collect()
}
