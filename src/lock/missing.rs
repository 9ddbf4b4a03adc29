//! Questions that a lock answers without any file: is it complete, what conflicts, which scripts run nowhere.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::Architecture;

use super::{
    document::{BuiltFrom, IdentityKind, Lock, LockedClosure, PackageId, Purpose, SourceId, Standing},
    relation::own,
    report::Problem,
    wanted::{Closure, Wanted},
};

/// Two members of a closure that cannot be together, as one of them states.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The package that says so.
    pub package: String,
    /// The package that it says so of.
    pub with: String,
    /// The relation as the index has it: `foo (<< 2)`.
    pub relation: String,
}

impl Lock {
    /// What is wanted and not locked, or locked otherwise than wanted; empty when the lock serves these recipes.
    ///
    /// Cheap: it compares names and solves nothing, since it runs before every compose. What is locked beyond that is
    /// no problem, so that one variant of a project can be composed alone.
    pub fn missing(&self, wanted: &Wanted) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, _) in wanted.sets.iter().filter(|(name, set)| self.sets.get(*name) != Some(set)) {
            let message = format!("the recipe set `{name}` is not locked as it was read");
            problems.push(Problem { origin: String::new(), message });
        }
        for closure in &wanted.closures {
            self.missing_of(closure, &mut problems);
        }
        for source in wanted.sources.iter().filter(|source| !self.sources.contains_key(&source.id)) {
            let SourceId { name, suite, .. } = &source.id;
            let message = format!("the source package `{name}` of `{suite}` is not locked");
            problems.push(Problem { origin: source.origin.clone(), message });
        }
        for url in &wanted.urls {
            if self.urls.get(&url.url) != Some(&url.sha256) {
                let message = format!("`{}` is not locked with this SHA-256", url.url);
                problems.push(Problem { origin: url.origin.clone(), message });
            }
        }
        for tree in wanted.trees.iter().filter(|tree| !self.trees.contains_key(&tree.id(self))) {
            let (kind, name) = (tree.kind.name(), &tree.component);
            let is_older = self.trees.keys().any(|id| id.component == *name && id.kind == tree.kind);
            let state = if is_older { "locked as it was before its source changed" } else { "not locked" };
            let message = format!("the tree `{kind}` of `{name}` is {state}");
            problems.push(Problem { origin: tree.origin.clone(), message });
        }
        for wanted in &wanted.users {
            let (kind, locked) = match wanted.kind {
                IdentityKind::User => ("user", self.users.get(&wanted.name).map(|user| (user.uid, user.standing))),
                IdentityKind::Group => ("group", self.gid(&wanted.name).map(|gid| (gid, Standing::Active))),
            };
            let locked = locked.filter(|(_, standing)| *standing == Standing::Active);
            if locked.is_none_or(|(number, _)| wanted.id.is_some_and(|id| id != number)) {
                let message = format!("the number of the {kind} `{}` is not locked", wanted.name);
                problems.push(Problem { origin: wanted.origin.clone(), message });
            }
        }
        problems.extend(self.disagreements(wanted));
        problems
    }

    /// The names of wanted packages of which the lock does not say what they were built from, since it was written when
    /// locks did not say it. It hinders nothing, and the next locking asks.
    pub fn unasked(&self, wanted: &Wanted) -> BTreeSet<&str> {
        let closures = wanted.closures.iter().filter_map(|one| self.closure(&one.name, one.architecture));
        let packages = closures.flat_map(|closure| self.packages_of(closure));
        let unasked = packages.filter(|(_, package)| package.built_from == BuiltFrom::Unasked);
        unasked.map(|(id, _)| id.name.as_str()).collect()
    }

    /// Packages that are locked in several versions and must have one, each list once.
    pub(super) fn disagreements(&self, wanted: &Wanted) -> Vec<Problem> {
        let mut problems = Vec::new();
        for same in &wanted.same_versions {
            let mut versions = BTreeSet::new();
            let mut places = BTreeSet::new();
            for id in &same.closures {
                let members = self.closures.get(id).into_iter().flat_map(|closure| closure.members.keys());
                for package in members.filter(|package| same.packages.contains(&package.name)) {
                    versions.insert(&package.version);
                    let (closure, architecture) = (&id.name, id.architecture.name());
                    places.insert(format!("`{}` {} in {closure} ({architecture})", package.name, package.version));
                }
            }
            if versions.len() > 1 {
                let places: Vec<String> = places.into_iter().collect();
                let message = format!(
                    "expected one version of {}, found {}; move them together by `brc update {}`, or state \
                     `version=` of each",
                    same.packages.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and "),
                    places.join(", "),
                    same.packages.join(" ")
                );
                problems.push(Problem { origin: same.origin.clone(), message });
            }
        }
        problems.dedup();
        problems
    }

    fn missing_of(&self, closure: &Closure, problems: &mut Vec<Problem>) {
        let name = format!("{} ({})", closure.name, closure.architecture.name());
        let origin = closure.packages.first().map(|want| want.origin.clone()).unwrap_or_default();
        let Some(locked) = self.closure(&closure.name, closure.architecture) else {
            // Nothing wanted needs nothing locked.
            if !closure.packages.is_empty() {
                problems.push(Problem { origin, message: format!("nothing is locked for {name}") });
            }
            return;
        };
        let before = problems.len();
        for want in &closure.packages {
            if !locked.wants.contains_key(&want.name) {
                let message = format!("`{}` of {name} is not locked", want.name);
                problems.push(Problem { origin: want.origin.clone(), message });
            }
        }
        if problems.len() == before && !locked.answers(closure) {
            let message =
                format!("the packages of {name} were locked for another list of packages, versions or `without`");
            problems.push(Problem { origin: origin.clone(), message });
        }
        let unread = |id: &&PackageId| {
            self.packages.get(*id).is_none_or(|package| closure.purpose == Purpose::Image && package.contents.is_none())
        };
        if let Some(id) = locked.members.keys().find(unread) {
            problems.push(Problem { origin, message: format!("the lock's entry of `{}` is not complete", id.name) });
        }
    }

    /// The maintainer scripts of a closure's packages that nobody accounted for: package and scripts, sorted.
    ///
    /// `accounted` holds package names. Packages that were not looked into (of tool sets) are left out.
    pub fn unaccounted(&self, closure: &LockedClosure, accounted: &BTreeSet<String>) -> Vec<(String, Vec<String>)> {
        let open = self.packages_of(closure).filter(|(id, _)| !accounted.contains(&id.name));
        let scripts = open.filter_map(|(id, package)| Some((id.name.clone(), &package.contents.as_ref()?.scripts)));
        let some = scripts.filter(|(_, scripts)| !scripts.is_empty());
        some.map(|(name, scripts)| (name, scripts.iter().cloned().collect())).collect()
    }

    /// Members of a closure that declare a conflict with, or a break of, another member, sorted.
    ///
    /// A package never conflicts with what it provides itself (Debian Policy, section 7.6.2).
    pub fn conflicts(&self, closure: &LockedClosure, architecture: Architecture) -> Vec<Conflict> {
        let mut provided: BTreeMap<&str, Vec<(&str, Option<&str>)>> = BTreeMap::new();
        for (id, package) in self.packages_of(closure) {
            provided.entry(&id.name).or_default().push((&id.name, Some(&id.version)));
            for relation in own(&package.relations.provides, architecture) {
                let version = relation.bound.map(|bound| bound.version);
                provided.entry(relation.name).or_default().push((&id.name, version));
            }
        }
        let mut conflicts = BTreeSet::new();
        for (id, package) in self.packages_of(closure) {
            for relation in own(&package.relations.conflicts, architecture) {
                let others = provided.get(relation.name).map(Vec::as_slice).unwrap_or_default();
                for (with, version) in others.iter().filter(|(with, _)| *with != id.name) {
                    // A bound speaks of packages that state a version, never of an unversioned name they provide.
                    let meant = match (relation.bound, version) {
                        (None, _) => true,
                        (Some(bound), Some(version)) => bound.admits(version),
                        (Some(_), None) => false,
                    };
                    if meant {
                        let relation = relation.to_string();
                        conflicts.insert(Conflict { package: id.name.clone(), with: (*with).to_owned(), relation });
                    }
                }
            }
        }
        conflicts.into_iter().collect()
    }
}
