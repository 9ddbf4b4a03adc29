//! Numbers of users and groups: given once, never to another, since `/var` of running machines outlives releases.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{Group, Identity, IdentityKind, Lock, Purpose, Standing, User},
    report::Problem,
    wanted::WantedUser,
};

/// The numbers that are given to those that ask for any, from the first downwards. Debian gives 100 to 999 to system
/// users; the lower part stays free for what other programs give on a running machine.
const FIRST: u32 = 900;
const LAST: u32 = 500;

/// The number of a group in a user's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PrimaryGroup {
    Number(u32),
    Name(String),
    /// The group of the user's own name.
    Own,
}

/// Whether a text is a name of a user or group, as strictly as systemd's "strict" syntax.
pub(super) fn is_user_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 31
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Reads an id of sysusers.d(5): `-`, `4`, `0:0`, `-:adm`.
pub(super) fn read_id(text: &str) -> Option<(Option<u32>, PrimaryGroup)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        // The two highest 16 and 32 bit numbers mean "none" to the kernel.
        digits.then(|| text.parse::<u32>().ok()).flatten().filter(|id| *id != u32::MAX && *id != 0xffff)
    };
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user == "-" { None } else { Some(number(user)?) };
    let group = match group {
        None => user.map_or(PrimaryGroup::Own, |_| PrimaryGroup::Own),
        Some(group) => match number(group) {
            Some(id) => PrimaryGroup::Number(id),
            None if is_user_name(group) => PrimaryGroup::Name(group.to_owned()),
            None => return None,
        },
    };
    Some((user, group))
}

/// Gives numbers to everything that the packages of `lock` and components ask for, on top of what was given before.
///
/// What nobody asks for any more keeps its number and is marked retired. Fixed numbers come first, then the rest in
/// the order of names. What contradicts is a problem.
pub(super) fn allot(lock: &mut Lock, declared: &[WantedUser]) -> Vec<Problem> {
    let mut asked: BTreeSet<Identity> = BTreeSet::new();
    let image = lock.closures.values().filter(|closure| closure.purpose == Purpose::Image);
    for id in image.flat_map(|closure| closure.members.keys()) {
        let contents = lock.packages.get(id).and_then(|package| package.contents.as_ref());
        asked.extend(contents.into_iter().flat_map(|contents| contents.identities.iter().cloned()));
    }
    let mut origins = BTreeMap::new();
    for user in declared {
        let id = user.id.map_or("-".to_owned(), |id| id.to_string());
        asked.insert(Identity { kind: user.kind, name: user.name.clone(), id });
        origins.insert(user.name.clone(), user.origin.clone());
    }
    let mut allotment = Allotment::new(lock, origins);
    allotment.run(&asked);
    lock.users = allotment.users;
    lock.groups = allotment.groups;
    allotment.problems
}

struct Allotment {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
    origins: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Allotment {
    /// Starts with what was given before, all of it retired until somebody asks.
    fn new(lock: &Lock, origins: BTreeMap<String, String>) -> Self {
        let standing = Standing::Retired;
        let users = lock.users.iter().map(|(name, user)| (name.clone(), User { standing, ..*user }));
        let groups = lock.groups.iter().map(|(name, group)| (name.clone(), Group { standing, ..*group }));
        Self { users: users.collect(), groups: groups.collect(), origins, problems: Vec::new() }
    }

    /// Groups come before the users that name them, fixed numbers before those that are given.
    fn run(&mut self, asked: &BTreeSet<Identity>) {
        let read: Vec<_> = asked.iter().filter_map(|one| Some((one, read_id(&one.id)?))).collect();
        for fixed in [true, false] {
            for (one, (number, _)) in &read {
                if one.kind == IdentityKind::Group && number.is_some() == fixed {
                    self.group(&one.name, *number, &read);
                }
            }
            for (one, (number, group)) in &read {
                if one.kind == IdentityKind::User && number.is_some() == fixed {
                    self.user(&one.name, *number, group);
                }
            }
        }
    }

    fn group(&mut self, name: &str, number: Option<u32>, read: &[(&Identity, (Option<u32>, PrimaryGroup))]) {
        // A group that is also a user's own gets the user's number, once the user has one.
        let own = read
            .iter()
            .any(|(one, (_, group))| one.kind == IdentityKind::User && one.name == name && *group == PrimaryGroup::Own);
        if number.is_none() && own && !self.groups.contains_key(name) {
            return;
        }
        if let Some(gid) = self.settle_group(name, number) {
            self.groups.insert(name.to_owned(), Group { gid, standing: Standing::Active });
        }
    }

    fn user(&mut self, name: &str, number: Option<u32>, group: &PrimaryGroup) {
        let before = self.users.get(name).copied();
        if let (Some(before), Some(number)) = (before, number)
            && before.uid != number
        {
            return self.contradiction(name, "user", before.uid, number);
        }
        let own = self.groups.get(name).map(|group| group.gid);
        let Some(uid) = before.map(|user| user.uid).or(number).or_else(|| self.free(own)) else {
            return self.problem(name, format!("no number between {LAST} and {FIRST} is left for the user `{name}`"));
        };
        if let Some(other) = self.users.iter().find(|(other, user)| user.uid == uid && *other != name) {
            let message = format!("the user `{name}` should have the number {uid}, which belongs to `{}`", other.0);
            return self.problem(name, message);
        }
        let gid = match group {
            PrimaryGroup::Number(gid) => Some(*gid),
            PrimaryGroup::Name(other) => self.settle_group(other, None).inspect(|gid| {
                self.groups.insert(other.clone(), Group { gid: *gid, standing: Standing::Active });
            }),
            PrimaryGroup::Own => match before {
                Some(before) => Some(before.gid),
                None => own.or_else(|| self.settle_group(name, Some(uid))),
            },
        };
        let Some(gid) = gid else { return };
        if *group == PrimaryGroup::Own {
            self.groups.insert(name.to_owned(), Group { gid, standing: Standing::Active });
        }
        self.users.insert(name.to_owned(), User { uid, gid, standing: Standing::Active });
    }

    /// The number of a group: what it has, what it asks for, or the next that is free.
    fn settle_group(&mut self, name: &str, number: Option<u32>) -> Option<u32> {
        let before = self.groups.get(name).map(|group| group.gid);
        if let (Some(before), Some(number)) = (before, number)
            && before != number
        {
            self.contradiction(name, "group", before, number);
            return Some(before);
        }
        let Some(gid) = before.or(number).or_else(|| self.free(None)) else {
            self.problem(name, format!("no number between {LAST} and {FIRST} is left for the group `{name}`"));
            return None;
        };
        if let Some(other) = self.groups.iter().find(|(other, group)| group.gid == gid && *other != name) {
            let message = format!("the group `{name}` should have the number {gid}, which belongs to `{}`", other.0);
            self.problem(name, message);
            return None;
        }
        Some(gid)
    }

    /// The next number that neither a user nor a group has; the one that is preferred, if it is free for a user.
    fn free(&self, preferred: Option<u32>) -> Option<u32> {
        let user_free = |id: &u32| self.users.values().all(|user| user.uid != *id);
        let group_free =
            |id: &u32| self.groups.values().all(|group| group.gid != *id) && self.users.values().all(|u| u.gid != *id);
        let all_free = || (LAST..=FIRST).rev().find(|id| user_free(id) && group_free(id));
        preferred.filter(|id| (LAST..=FIRST).contains(id) && user_free(id)).or_else(all_free)
    }

    fn contradiction(&mut self, name: &str, kind: &str, before: u32, number: u32) {
        let message = format!(
            "the {kind} `{name}` has the number {before} and should now have {number}; machines in use have files of \
             {before}, so it stays; to change it nevertheless remove its line from the lock"
        );
        self.problem(name, message);
    }

    fn problem(&mut self, name: &str, message: String) {
        let origin = self.origins.get(name).cloned().unwrap_or_default();
        self.problems.push(Problem { origin, message });
    }
}
