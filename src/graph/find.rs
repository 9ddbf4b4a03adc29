//! Finds components by name, with all that they need.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use brc_contract::Architecture;

use super::{
    Role, Situation, component,
    flat::{FlatComponent, FlatToolset, Serves},
};
use crate::recipe::{Code, Diagnostic, Kernel, Name, Override, Recipes, Span, Spanned};

/// Finds components by name and follows what they need.
pub(super) struct Finder<'a> {
    pub recipes: &'a Recipes,
    pub overrides: &'a [&'a Override],
    pub situation: &'a Situation,
    pub removed: &'a [Spanned<Name>],
}

impl<'a> Finder<'a> {
    /// The components in the image, each after those it needs, and the kernels among what is included.
    pub(super) fn in_image(
        &self,
        includes: &[Spanned<Name>],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> (Vec<FlatComponent>, Vec<(&'a Kernel, Span)>) {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut kernels: Vec<(&Kernel, Span)> = Vec::new();
        for name in includes.iter().filter(|name| !self.is_removed(&name.value)) {
            match self.recipes.kernels.get(&name.value) {
                Some(kernel) if !kernels.iter().any(|(known, _)| known.name == kernel.name) => {
                    kernels.push((kernel, name.span));
                }
                Some(_) => {}
                None => self.follow(&name.value, &mut found, &mut seen),
            }
        }
        for component in &found {
            for need in component.needs.iter().filter(|need| self.is_removed(&need.value)) {
                let message = format!("`{}` needs `{}`, which is removed", component.name, need.value);
                let mut diagnostic = Diagnostic::error(Code::RemovedButNeeded, need.span, message);
                if let Some(removed) = self.removed.iter().find(|removed| removed.value == need.value) {
                    diagnostic = diagnostic.also(removed.span, "removed here");
                }
                diagnostics.push(diagnostic.help(format!("remove `{}` too", component.name)));
            }
        }
        (found, kernels)
    }

    /// One component without what it needs, if it is built.
    pub(super) fn alone(&self, name: Option<&Name>) -> Vec<FlatComponent> {
        name.and_then(|name| self.find(name)).into_iter().filter(FlatComponent::is_built).collect()
    }

    /// What some names bring with all that they need, each after what it needs.
    fn closure<'n>(&self, names: impl IntoIterator<Item = &'n Name>) -> Vec<FlatComponent> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        names.into_iter().for_each(|name| self.follow(name, &mut found, &mut seen));
        found
    }

    /// What `link-with` brings to each of `components`, and to what is linked with them.
    pub(super) fn sysroots<'c>(
        &self,
        components: impl IntoIterator<Item = &'c FlatComponent>,
    ) -> BTreeMap<Name, Vec<FlatComponent>> {
        let mut by_tool: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        let mut linked = |component: &FlatComponent| -> Option<(Name, Vec<Name>)> {
            let mut linked: Vec<Name> = component.link_with.iter().map(|name| name.value.clone()).collect();
            // A compiler says what everything that it compiles is linked with.
            for tool in component.build_with.iter().map(|name| &name.value) {
                if !by_tool.contains_key(tool) {
                    let tools = self.closure([tool]);
                    let names = tools.iter().flat_map(|tool| &tool.link_with).map(|name| name.value.clone());
                    by_tool.insert(tool.clone(), names.collect());
                }
                linked.extend(by_tool.get(tool).into_iter().flatten().cloned());
            }
            (!linked.is_empty()).then(|| (component.name.clone(), linked))
        };
        let mut sysroots: BTreeMap<Name, Vec<FlatComponent>> = BTreeMap::new();
        let mut open: Vec<(Name, Vec<Name>)> = components.into_iter().filter_map(&mut linked).collect();
        while let Some((name, names)) = open.pop() {
            if let btree_map::Entry::Vacant(place) = sysroots.entry(name) {
                let members = self.closure(&names);
                open.extend(members.iter().filter_map(&mut linked));
                place.insert(members);
            }
        }
        sysroots
    }

    /// The tool sets that are named, and those that play a part.
    pub(super) fn toolsets<'n>(
        &self,
        named: impl Iterator<Item = &'n Spanned<Name>>,
        roles: &BTreeMap<Role, Spanned<Name>>,
    ) -> BTreeMap<Name, FlatToolset> {
        let mut toolsets = BTreeMap::new();
        let (target, execution) = (self.situation.architecture, self.situation.execution);
        let playing = roles.iter().map(|(role, name)| (name, if role.is_of_the_target() { target } else { execution }));
        for (name, architecture) in playing.chain(named.map(|name| (name, execution))) {
            if !toolsets.contains_key(&name.value) {
                toolsets.insert(name.value.clone(), self.toolset(&name.value, architecture));
            }
        }
        toolsets
    }

    fn toolset(&self, name: &Name, architecture: Architecture) -> FlatToolset {
        // A loader for another machine does not ask about this one.
        let situation = Situation { execution: architecture, ..self.situation.clone() };
        let members = Finder { situation: &situation, ..*self }.closure([name]);
        let asks = |members: &[FlatComponent]| -> Vec<_> {
            let asked =
                |member: &FlatComponent| (member.packages.clone(), member.without.clone(), member.satisfies.clone());
            members.iter().map(asked).collect()
        };
        let same =
            Architecture::ALL.into_iter().filter(|target| *target != self.situation.architecture).all(|target| {
                let situation = Situation { architecture: target, ..situation.clone() };
                asks(&Finder { situation: &situation, ..*self }.closure([name])) == asks(&members)
            });
        let serves = if same { Serves::EveryTarget } else { Serves::Only(self.situation.architecture) };
        FlatToolset { members, architecture, serves }
    }

    /// Adds a component after everything that it needs. A stack of our own, since chains of needs may be longer than
    /// a thread's.
    fn follow(&self, name: &Name, found: &mut Vec<FlatComponent>, seen: &mut BTreeSet<Name>) {
        let mut open: Vec<(FlatComponent, usize)> = Vec::new();
        open.extend(self.enter(name, seen).map(|component| (component, 0)));
        // Recipes have no cycles: reading refused them.
        while let Some((component, next)) = open.last_mut() {
            let Some(need) = component.needs.get(*next) else {
                found.extend(open.pop().map(|(component, _)| component));
                continue;
            };
            *next += 1;
            let entered = self.enter(&need.value, seen);
            open.extend(entered.map(|component| (component, 0)));
        }
    }

    /// A component that was not met before.
    fn enter(&self, name: &Name, seen: &mut BTreeSet<Name>) -> Option<FlatComponent> {
        if self.is_removed(name) || !seen.insert(name.clone()) {
            return None;
        }
        self.find(name)
    }

    fn find(&self, name: &Name) -> Option<FlatComponent> {
        let one = self.recipes.components.get(name).map(|c| component::component(c, self.overrides, self.situation));
        one.or_else(|| self.recipes.packages.get(name).map(|p| component::packages(p, self.overrides, self.situation)))
    }

    fn is_removed(&self, name: &Name) -> bool {
        self.removed.iter().any(|removed| removed.value == *name)
    }
}
