//! What is defined where, and what a reference means.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Name, Span,
    suggestion::Patience,
    word::{TopWord, Word as _},
};

/// The spaces in which a name means one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    /// Components, package groups and kernels.
    Component,
    /// Variants.
    Variant,
    /// Archives.
    Archive,
    /// Targets.
    Target,
}

/// What a name of the first space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Component,
    Packages,
    Kernel,
    Variant,
    Archive,
    Target,
}

/// Everything that is defined, before any of it is read.
#[derive(Debug, Default)]
pub(super) struct Names {
    sets: BTreeMap<String, BTreeMap<Space, BTreeMap<String, (Kind, Span)>>>,
    /// Sets by bare name, for each space.
    owners: BTreeMap<(Space, String), Vec<String>>,
    /// Names whose text could not be read.
    pub(super) unread: BTreeSet<String>,
    pub(super) features: BTreeMap<String, Span>,
}

/// Why a reference means nothing.
pub(super) enum Unresolved {
    /// Nothing has the name.
    Unknown,
    /// Several sets have the name.
    Ambiguous(Vec<String>),
    /// It may be in what could not be read.
    Unread,
}

impl Space {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Space::Component => "component, package group or kernel",
            Space::Variant => "variant",
            Space::Archive => "archive",
            Space::Target => "target",
        }
    }
}

impl Kind {
    pub(super) fn space(self) -> Space {
        match self {
            Kind::Component | Kind::Packages | Kind::Kernel => Space::Component,
            Kind::Variant => Space::Variant,
            Kind::Archive => Space::Archive,
            Kind::Target => Space::Target,
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Kind::Component => "component",
            Kind::Packages => "package group",
            Kind::Kernel => "kernel",
            Kind::Variant => "variant",
            Kind::Archive => "archive",
            Kind::Target => "target",
        }
    }

    /// The word that begins its recipe.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Some(match TopWord::of(word)? {
            TopWord::Component => Kind::Component,
            TopWord::Packages => Kind::Packages,
            TopWord::Kernel => Kind::Kernel,
            TopWord::Variant => Kind::Variant,
            TopWord::Archive => Kind::Archive,
            TopWord::Target => Kind::Target,
            TopWord::Override | TopWord::Feature => return None,
        })
    }
}

impl Names {
    /// Notes a set, also one without any recipe.
    pub(super) fn add_set(&mut self, set: &str) {
        self.sets.entry(set.to_owned()).or_default();
    }

    /// Notes a definition; gives the earlier one of the same name back.
    pub(super) fn define(&mut self, set: &str, kind: Kind, name: &str, span: Span) -> Option<(Kind, Span)> {
        let names = self.sets.entry(set.to_owned()).or_default().entry(kind.space()).or_default();
        if let Some(earlier) = names.get(name) {
            return Some(*earlier);
        }
        names.insert(name.to_owned(), (kind, span));
        self.owners.entry((kind.space(), name.to_owned())).or_default().push(set.to_owned());
        None
    }

    /// What `name` is.
    pub(super) fn kind(&self, space: Space, name: &Name) -> Option<Kind> {
        self.sets.get(&name.set)?.get(&space)?.get(&name.name).map(|(kind, _)| *kind)
    }

    /// Every set.
    pub(super) fn sets(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(String::as_str)
    }

    /// Whether some set has the name.
    pub(super) fn has(&self, space: Space, name: &str) -> bool {
        self.owners.contains_key(&(space, name.to_owned()))
    }

    /// Every name of a space, sorted.
    pub(super) fn all(&self, space: Space) -> impl Iterator<Item = &str> {
        self.owners.keys().filter(move |(of, _)| *of == space).map(|(_, name)| name.as_str())
    }

    /// What `text` means when a recipe of `set` says it: `set/name`, or the set's own, or the only one.
    pub(super) fn resolve(&self, set: &str, space: Space, text: &str) -> Result<Name, Unresolved> {
        if let Some((of, name)) = text.split_once('/') {
            let full = Name::new(of, name);
            return match self.kind(space, &full) {
                Some(_) => Ok(full),
                None => Err(self.unknown(name)),
            };
        }
        let own = Name::new(set, text);
        if self.kind(space, &own).is_some() {
            return Ok(own);
        }
        match self.owners.get(&(space, text.to_owned())).map(Vec::as_slice) {
            Some([only]) => Ok(Name::new(only.as_str(), text)),
            Some(several) => Err(Unresolved::Ambiguous(several.iter().map(|set| format!("{set}/{text}")).collect())),
            None => Err(self.unknown(text)),
        }
    }

    fn unknown(&self, name: &str) -> Unresolved {
        if self.unread.contains(name) { Unresolved::Unread } else { Unresolved::Unknown }
    }

    /// The name that an unknown one is most likely meant to be.
    pub(super) fn near(&self, space: Space, text: &str, patience: &mut Patience) -> Option<String> {
        let Some((set, name)) = text.split_once('/') else {
            return patience.nearest(text, self.all(space)).map(str::to_owned);
        };
        let near_set =
            patience.nearest(set, self.sets()).filter(|near| self.kind(space, &Name::new(*near, name)).is_some());
        let own = self.sets.get(set).and_then(|own| own.get(&space)).into_iter().flat_map(BTreeMap::keys);
        let near_name = || patience.nearest(name, own.map(String::as_str));
        let full =
            near_set.map(|set| format!("{set}/{name}")).or_else(|| near_name().map(|name| format!("{set}/{name}")));
        full.or_else(|| Some(format!("{}/{name}", self.owners.get(&(space, name.to_owned()))?.first()?)))
    }
}
