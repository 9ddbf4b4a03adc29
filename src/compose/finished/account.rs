//! Users and groups: what recipes declare is in `/etc/passwd` and `/etc/group`, with the numbers that the lock gave.
//!
//! systemd-sysusers passes over a line that it does not like, and says so only in its log.

use std::collections::BTreeMap;

use super::{finding::Finding, root::Root};
use crate::{
    content::{Entry, RelPath},
    graph::{StatedAccount, User},
    store::StoreError,
};

/// `locked` are all users and groups that the lock has numbers for, those of packages too.
pub(super) fn findings(stated: &[StatedAccount], locked: &[User], root: &Root<'_>) -> Result<Vec<Finding>, StoreError> {
    let users = table(root, "etc/passwd")?;
    let groups = table(root, "etc/group")?;
    let mut found = Vec::new();
    for account in stated {
        let name = &account.name;
        if let Some(uid) = account.uid {
            found.extend(number(account, "user", name, &users, 2, uid));
            found.extend(
                number(account, "user's own group", name, &users, 3, account.gid).filter(|_| users.contains_key(name)),
            );
        }
        found.extend(number(account, "group", name, &groups, 2, account.gid).filter(|_| account.uid.is_none()));
        for (group, gid) in &account.groups {
            found.extend(number(account, "group", group, &groups, 2, *gid));
            let is_member =
                |fields: &Vec<String>| fields.get(3).is_some_and(|list| list.split(',').any(|one| one == name));
            if groups.get(group).is_some_and(|fields| !is_member(fields)) {
                let message = format!("the user `{name}` is no member of `{group}` in /etc/group: {SYSUSERS}");
                found.push(Finding::wrong(&account.origin, message));
            }
        }
        if let Some(shell) = &account.shell
            && !root.real(shell).is_some_and(|real| matches!(root.tree.entry(&real), Some(Entry::File { .. })))
        {
            let message = format!("the shell `{shell}` of the user `{name}` is not in the image");
            found.push(Finding::wrong(&account.origin, message));
        }
    }
    // Of what packages ask for some is not in every image; what is there has its number.
    for user in locked {
        let (kind, file, table, expected) = match user.uid {
            Some(uid) => ("user", "/etc/passwd", &users, uid),
            None => ("group", "/etc/group", &groups, user.gid),
        };
        let given = table.get(&user.name).and_then(|fields| fields.get(2));
        if let Some(given) = given.filter(|given| **given != expected.to_string())
            && !stated.iter().any(|account| account.name == user.name)
        {
            let message = format!("the {kind} `{}` has the number {given}, the lock says {expected}", user.name);
            found.push(Finding::wrong(file, message));
        }
    }
    found.extend(unlocked("user", "/etc/passwd", &users, locked));
    found.extend(unlocked("group", "/etc/group", &groups, locked));
    Ok(found)
}

/// What nobody has locked a number for: it would be another one when something else is added.
fn unlocked(
    kind: &str,
    file: &str,
    table: &BTreeMap<String, Vec<String>>,
    locked: &[User],
) -> impl Iterator<Item = Finding> {
    let new = table.keys().filter(|name| !locked.iter().any(|user| user.name == **name));
    new.map(move |name| {
        let message = format!(
            "the lock has no number for the {kind} `{name}`: write `{kind} \"{name}\"` in a component, in place of its line \
             in a file of sysusers.d(5)"
        );
        Finding::wrong(file, message)
    })
}

/// What makes them.
const SYSUSERS: &str =
    "expected a finish step `systemd-sysusers --root=$root`, as component `system` has it, that takes its line";

/// Whether `name` has `expected` in field `index` of its line.
fn number(
    account: &StatedAccount,
    kind: &str,
    name: &str,
    table: &BTreeMap<String, Vec<String>>,
    index: usize,
    expected: u32,
) -> Option<Finding> {
    let file = if kind == "group" { "/etc/group" } else { "/etc/passwd" };
    let message = match table.get(name).and_then(|fields| fields.get(index)) {
        Some(given) if *given == expected.to_string() => return None,
        Some(given) => format!("the {kind} `{name}` has the number {given} in {file}, the lock says {expected}"),
        None => format!("the {kind} `{name}` is not in {file}: {SYSUSERS}"),
    };
    Some(Finding::wrong(&account.origin, message))
}

/// The lines of a file such as passwd(5), by their first field.
fn table(root: &Root<'_>, path: &str) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let text = match RelPath::new(path) {
        Ok(path) => root.text(&path)?.unwrap_or_default(),
        Err(_) => String::new(),
    };
    let lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.filter_map(|fields| Some((fields.first()?.clone(), fields))).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    fn account(name: &str, uid: Option<u32>, gid: u32) -> StatedAccount {
        let origin = "a.kdl:1".to_owned();
        StatedAccount { name: name.to_owned(), uid, gid, groups: Vec::new(), shell: None, origin }
    }

    #[test]
    fn a_user_or_group_that_is_not_there_with_its_number_is_told() {
        let world = World::new(&[
            (
                "/etc/passwd",
                0o644,
                "root:x:0:0::/:/\na:x:900:900::/:/\nb:x:7:899::/:/\nd:x:898:7::/:/\nold:x:5:5::/:/\n",
            ),
            ("/etc/group", 0o644, "mine:x:897:a\nother:x:999:\n"),
        ]);
        let user = |name: &str, uid, gid| User { name: name.to_owned(), uid, gid };
        let everybody = [
            user("root", Some(0), 0),
            user("a", Some(900), 900),
            user("b", Some(7), 899),
            user("d", Some(898), 7),
            user("old", Some(5), 5),
            user("mine", None, 897),
            user("other", None, 999),
        ];
        let told = |account: StatedAccount| {
            let found = findings(&[account], &everybody, &world.root()).unwrap();
            found.into_iter().map(|found| format!("{found:?}")).collect::<Vec<_>>().join("\n")
        };
        let with = |account, group: &str, gid| StatedAccount { groups: vec![(group.to_owned(), gid)], ..account };
        let shell = |path| Some(RelPath::new(path).unwrap());
        for (account, expected) in [
            (account("a", Some(900), 900), ""),
            (account("b", Some(899), 899), "`b` has the number 7 in /etc/passwd, the lock says 899"),
            (account("c", Some(899), 899), "a.kdl:1: the user `c` is not in /etc/passwd"),
            (account("d", Some(898), 898), "the user's own group `d` has the number 7"),
            (account("mine", None, 897), ""),
            (account("none", None, 896), "the group `none` is not in /etc/group"),
            (with(account("a", Some(900), 900), "mine", 897), ""),
            (
                with(account("a", Some(900), 900), "mine", 800),
                "`mine` has the number 897 in /etc/group, the lock says 800",
            ),
            (with(account("a", Some(900), 900), "other", 999), "the user `a` is no member of `other`"),
            (
                StatedAccount { shell: shell("usr/bin/my sh"), ..account("a", Some(900), 900) },
                "`/usr/bin/my sh` of the user",
            ),
        ] {
            let text = told(account);
            assert!(text.contains(expected) && expected.is_empty() == text.is_empty(), "{expected:?}: {text}");
        }
        let mut locked = everybody;
        assert_eq!(findings(&[], &locked, &world.root()).unwrap(), []);
        locked[4].uid = Some(6);
        assert_eq!(findings(&[], &locked, &world.root()).unwrap().len(), 1);
        let found = format!("{:?}", findings(&[], &locked[..4], &world.root()).unwrap());
        for new in ["user `old`", "group `mine`", "group `other`"] {
            assert!(found.contains(&format!("the lock has no number for the {new}")), "{found}");
        }
    }
}
