//! Two locks as one: what a project has pinned, and what a recipe set brings.

use std::collections::BTreeSet;

use super::document::{BuiltFor, BuiltFrom, Lock, PackageId, Standing};

impl Lock {
    /// This lock, and of `other` what this one says nothing of.
    ///
    /// What comes along fits what is here: a package unless another version of it is pinned here, a closure when all
    /// its packages are there, a user or group when its number is free. What does not fit is chosen as if `other` had
    /// never pinned it.
    #[must_use]
    pub fn completed_by(mut self, other: &Lock) -> Lock {
        let place = |id: &PackageId| (id.name.clone(), id.built_for, id.archive.clone());
        let pinned: BTreeSet<(String, BuiltFor, String)> = self.packages.keys().map(place).collect();
        for (id, package) in &other.packages {
            match self.packages.get_mut(id) {
                // Who has looked into it counts, and who has asked what it was built from.
                Some(known) => {
                    known.contents = known.contents.take().or_else(|| package.contents.clone());
                    if matches!(package.built_from, BuiltFrom::Source { .. }) {
                        known.built_from.clone_from(&package.built_from);
                    }
                }
                None if pinned.contains(&place(id)) => {}
                None => drop(self.packages.insert(id.clone(), package.clone())),
            }
        }
        for (id, closure) in &other.closures {
            if !self.closures.contains_key(id) && closure.members.keys().all(|id| self.packages.contains_key(id)) {
                self.closures.insert(id.clone(), closure.clone());
            }
        }
        for (id, suite) in &other.suites {
            let newest = self.suites.entry(id.clone()).or_insert_with(|| suite.clone());
            if newest.date < suite.date {
                newest.clone_from(suite);
            }
        }
        if self.epoch == 0 {
            self.epoch = other.epoch;
        }
        let (sources, urls, trees) = (&other.sources, &other.urls, &other.trees);
        sources.iter().for_each(|(id, source)| _ = self.sources.entry(id.clone()).or_insert_with(|| source.clone()));
        urls.iter().for_each(|(url, sha256)| _ = self.urls.entry(url.clone()).or_insert(*sha256));
        trees.iter().for_each(|(id, tree)| _ = self.trees.entry(id.clone()).or_insert(*tree));
        self.complete_numbers(other);
        self
    }

    /// What `other` has pinned, and of this lock what `other` says nothing of. Numbers of users and groups were given
    /// once: those of this lock stay.
    #[must_use]
    pub fn replaced_by(&self, other: &Lock) -> Lock {
        let numbers = Lock { users: self.users.clone(), groups: self.groups.clone(), ..Lock::default() };
        numbers.completed_by(other).completed_by(self)
    }

    /// Leaves out the numbers that nothing asks for and that `own` never gave.
    pub fn forget_idle_numbers(&mut self, own: &Lock) {
        self.users.retain(|name, user| user.standing == Standing::Active || own.users.contains_key(name));
        self.groups.retain(|name, group| group.standing == Standing::Active || own.groups.contains_key(name));
    }

    fn complete_numbers(&mut self, other: &Lock) {
        for (name, group) in &other.groups {
            let is_free = self.groups.values().all(|known| known.gid != group.gid);
            if is_free && !self.groups.contains_key(name) {
                self.groups.insert(name.clone(), *group);
            }
        }
        for (name, user) in &other.users {
            let is_free = self.users.values().all(|known| known.uid != user.uid);
            let is_same_group = self.group_of(user.gid) == other.group_of(user.gid);
            if is_free && is_same_group && !self.users.contains_key(name) {
                self.users.insert(name.clone(), *user);
            }
        }
    }

    /// The name of the group with this number.
    fn group_of(&self, gid: u32) -> Option<&str> {
        self.groups.iter().find(|(_, group)| group.gid == gid).map(|(name, _)| name.as_str())
    }
}
