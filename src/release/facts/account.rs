//! Users and groups, by passwd(5) and group(5). What may stand in the place of a password is told of nobody.

use super::super::change::Facts;

/// The users by their names.
pub fn users(passwd: &str) -> Facts {
    let user = |line: &str| match line.split(':').collect::<Vec<_>>()[..] {
        [name, _, uid, gid, _, home, shell] => {
            Some((name.to_owned(), format!("uid {uid}, gid {gid}, home {home}, shell {shell}")))
        }
        _ => None,
    };
    passwd.lines().filter_map(user).collect()
}

/// The groups by their names.
pub fn groups(group: &str) -> Facts {
    let group_of = |line: &str| match line.split(':').collect::<Vec<_>>()[..] {
        [name, _, gid, ""] => Some((name.to_owned(), format!("gid {gid}"))),
        [name, _, gid, members] => Some((name.to_owned(), format!("gid {gid}, members {members}"))),
        _ => None,
    };
    group.lines().filter_map(group_of).collect()
}
