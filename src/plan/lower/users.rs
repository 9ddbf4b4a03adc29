//! The locked numbers of users and groups, in what packages ask of systemd-sysusers.

use crate::graph::{Finish, User};

/// The step that writes the locked numbers into the lists of packages (sysusers.d(5)): a user or group there without a
/// number would get one that depends on the others. `None` where nobody has a number.
pub(super) fn numbering(users: &[User]) -> Option<Finish> {
    let edits: String = users.iter().map(edit).collect();
    // Without a single file there is nothing to number: the pattern stays as it is and names none.
    let files = "$root/usr/lib/sysusers.d/*.conf";
    let script = format!("for file in {files}; do [ ! -e \"$file\" ] || sed -i{edits} \"$file\"; done");
    (!users.is_empty()).then(|| Finish { name: "numbers of users".to_owned(), script })
}

/// What sed(1) is to do: a `-` in the place of the number becomes the number.
fn edit(user: &User) -> String {
    let (name, blanks) = (&user.name, "[ \\t][ \\t]*");
    match user.uid {
        Some(uid) => format!(" -e 's/^\\(u!\\{{0,1\\}}{blanks}{name}{blanks}\\)-/\\1{uid}/'"),
        None => format!(" -e 's/^\\(g{blanks}{name}{blanks}\\)-/\\1{}/'", user.gid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_get_their_numbers_by_one_command() {
        assert_eq!(numbering(&[]), None);
        let user = |name: &str, uid, gid| User { name: name.to_owned(), uid, gid };
        let found = numbering(&[user("systemd-network", Some(998), 998), user("kvm", None, 107)]).unwrap();
        assert_eq!(
            found.script,
            "for file in $root/usr/lib/sysusers.d/*.conf; do [ ! -e \"$file\" ] || sed -i \
             -e 's/^\\(u!\\{0,1\\}[ \\t][ \\t]*systemd-network[ \\t][ \\t]*\\)-/\\1998/' \
             -e 's/^\\(g[ \\t][ \\t]*kvm[ \\t][ \\t]*\\)-/\\1107/' \"$file\"; done"
        );
    }
}
