//! Content below `/var`, which the running machine mounts its data partition over: it moves to `/usr/share/factory`, and
//! systemd-tmpfiles makes it at boot where it is not there yet (tmpfiles.d(5): `d`, `C`, `L`).

use std::{collections::BTreeSet, fmt::Write as _};

use brc_contract::well_known::{self, COVERED, EMPTY_AT_BOOT, LINKED};

use crate::{
    content::{Entry, Metadata, RelPath, Tree, TreeError, rel_path},
    plan::HOST_FILES_OWNER,
};

/// Where tmpfiles.d(5) copies from when a line names nothing else.
pub const FACTORY: &str = "usr/share/factory";
/// Of several lines for one path the first one counts, and files are read in the order of their names. What recipes
/// state comes before everybody's lines, a package's folder after them: the package often has a line that says more.
const FIRST: &str = "usr/lib/tmpfiles.d/00-brc-factory.conf";
const LAST: &str = "usr/lib/tmpfiles.d/zz-brc-factory.conf";
/// Hidden paths that are told one by one; of the others only the number.
const MAX_TOLD: usize = 20;

/// A root of which the running machine sees everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// The tree, without the lists.
    pub tree: Tree,
    /// Lines `owner`, tab, path, newline; sorted bytewise.
    pub owners: String,
    /// The lists for systemd-tmpfiles, those with lines in them.
    pub lists: Vec<(RelPath, String)>,
}

/// Moves what the running machine would hide. `owners` are those of the tree; `stated` are the folders whose owner and
/// mode count more than what lists of packages say.
///
/// # Errors
/// Files where something is mounted over them at each boot; a name that stands in no line; a file in the way.
pub fn visible(tree: Tree, owners: &str, stated: &[RelPath]) -> Result<Visible, FactoryError> {
    let data = well_known::DATA_MOUNT.trim_start_matches('/');
    let mut hidden = Vec::new();
    let mut moved = Vec::new();
    let (mut first, mut last) = (String::new(), String::new());
    for (path, entry) in tree.entries() {
        let Some(top) = path.ancestors().last() else { continue };
        let metadata = tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
        let list = if *entry != Entry::Directory || stated.contains(path) { &mut first } else { &mut last };
        let below_link = path.ancestors().any(|above| LINKED.contains(&above.as_str()));
        match (entry, top.as_str()) {
            _ if below_link => hidden.push(path.clone()),
            (Entry::Directory, _) if LINKED.contains(&path.as_str()) => {}
            (entry, top) if top == data => list.push_str(&line(path, entry, &metadata)?),
            (Entry::Directory, top) if EMPTY_AT_BOOT.contains(&top) => list.push_str(&line(path, entry, &metadata)?),
            (Entry::Directory, top) if COVERED.contains(&top) => {}
            (_, top) if EMPTY_AT_BOOT.contains(&top) || COVERED.contains(&top) => hidden.push(path.clone()),
            _ => continue,
        }
        moved.push((path.clone(), entry.clone(), metadata));
    }
    if !hidden.is_empty() {
        return Err(FactoryError::hidden(&hidden, owners));
    }
    let (mut tree, mut owners) = (tree, Owners::read(owners));
    let gone: BTreeSet<&RelPath> = moved.iter().map(|(path, ..)| path).collect();
    tree.drop_where(|path, _| gone.contains(path));
    for (path, entry, metadata) in moved {
        let owner = owners.remove(&path);
        if let Entry::File { .. } = entry {
            let to = rel_path!(FACTORY).join(&path);
            owners.add_folders(&to, &tree);
            tree.insert_with(to.clone(), entry, metadata)?;
            owners.add(owner, &to);
        }
    }
    let mut lists = Vec::new();
    for (path, text) in [(FIRST, first), (LAST, last)] {
        if let (Ok(path), false) = (RelPath::new(path), text.is_empty()) {
            owners.add_folders(&path, &tree);
            owners.add(Some(HOST_FILES_OWNER.to_owned()), &path);
            lists.push((path, text));
        }
    }
    Ok(Visible { tree, owners: owners.lines(), lists })
}

/// The line that makes an entry at boot. A file that is there already stays as it is.
fn line(path: &RelPath, entry: &Entry, metadata: &Metadata) -> Result<String, FactoryError> {
    let unprintable = |text: &str| text.contains(|character: char| character.is_control());
    let at = quoted(&path.to_string());
    let Metadata { mode, uid, gid, .. } = metadata;
    let line = match entry {
        Entry::Directory => format!("d {at} {mode:04o} {uid} {gid} -\n"),
        // Owner and mode are those of the copy in the factory; stated here, they would be set again at each boot.
        Entry::File { .. } => format!("C {at} - - - -\n"),
        Entry::Symlink { target } if unprintable(target) => {
            return Err(FactoryError::Unprintable { path: path.clone() });
        }
        Entry::Symlink { target } => format!("L {at} - - - - {}\n", argument(target)),
    };
    if unprintable(path.as_str()) { Err(FactoryError::Unprintable { path: path.clone() }) } else { Ok(line) }
}

/// A field of a line, as tmpfiles.d(5) reads it back unchanged.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    if escaped == text && !text.contains([' ', '\'']) { escaped } else { format!("\"{escaped}\"") }
}

/// The last field of a line, which is taken as it is but for escapes and specifiers. Alone `-` says nothing.
fn argument(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('%', "%%").replace(' ', "\\x20");
    if text == "-" { "\\x2d".to_owned() } else { text }
}

/// Who owns which path.
struct Owners(std::collections::BTreeMap<String, String>);

impl Owners {
    /// Reads what `Assemble::Root` lists.
    fn read(text: &str) -> Self {
        Owners(
            text.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (b.to_owned(), a.to_owned())).collect(),
        )
    }

    fn remove(&mut self, path: &RelPath) -> Option<String> {
        self.0.remove(&path.to_string())
    }

    /// What no recipe brought, a finish step made; it stays nobody's.
    fn add(&mut self, owner: Option<String>, path: &RelPath) {
        self.0.extend(owner.map(|owner| (path.to_string(), owner)));
    }

    /// The folders above `path` that are made for it are brc's.
    fn add_folders(&mut self, path: &RelPath, tree: &Tree) {
        for above in path.ancestors().filter(|above| tree.entry(above).is_none()) {
            self.0.entry(above.to_string()).or_insert_with(|| HOST_FILES_OWNER.to_owned());
        }
    }

    fn lines(self) -> String {
        let mut lines: Vec<String> = self.0.into_iter().map(|(path, owner)| format!("{owner}\t{path}\n")).collect();
        lines.sort_unstable();
        lines.concat()
    }
}

/// A root has what the running machine cannot see.
#[derive(Debug, thiserror::Error)]
pub enum FactoryError {
    /// Files below what is mounted over.
    #[error(
        "{list}nobody would see them: the running machine mounts something over that; `drop` them, or have them made at \
         each boot by a file in `/usr/lib/tmpfiles.d`"
    )]
    Hidden { list: String },
    /// A name that no line holds.
    #[error("`{path}` or what it says has a control character: nothing can make it at boot")]
    Unprintable { path: RelPath },
    /// The root has something else where the factory's copy would stand.
    #[error("what lies below `/var` cannot be kept for the first boot")]
    InTheWay {
        #[from]
        source: TreeError,
    },
}

impl FactoryError {
    fn hidden(paths: &[RelPath], owners: &str) -> Self {
        let owners = Owners::read(owners);
        let mut list = String::new();
        for path in paths.iter().take(MAX_TOLD) {
            let owner = owners.0.get(&path.to_string()).map_or("a finish step", String::as_str);
            // Writing to a string cannot fail.
            let _ = writeln!(list, "`{path}` of `{owner}`");
        }
        if paths.len() > MAX_TOLD {
            let _ = writeln!(list, "and {} more", paths.len() - MAX_TOLD);
        }
        FactoryError::Hidden { list }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Digest;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    /// A tree of paths, each with mode, owner and what it is: a file, a folder (`/`), a link (`-> …`).
    fn tree(entries: &[(&str, u16, u32, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (at, mode, uid, what) in entries {
            let entry = match *what {
                "/" => Entry::Directory,
                link if link.starts_with("-> ") => Entry::Symlink { target: link[3..].to_owned() },
                text => Entry::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false },
            };
            tree.insert_with(path(at), entry, Metadata { uid: *uid, gid: *uid, ..Metadata::with_mode(*mode) }).unwrap();
        }
        tree
    }

    #[test]
    fn what_lies_below_var_is_made_at_boot_with_its_owner_and_mode() {
        let root = tree(&[
            ("usr/lib/a", 0o644, 0, "a"),
            ("var/lib/mine", 0o700, 899, "/"),
            ("var/lib/mine/seed", 0o600, 899, "seed"),
            ("var/lib/my 100% \"x\"", 0o755, 899, "/"),
            ("var/cache", 0o755, 0, "/"),
            ("var/run", 0o777, 0, "-> ../my run"),
            ("run/lock", 0o1777, 0, "/"),
            ("tmp/plain", 0o755, 0, "/"),
            ("dev/shm", 0o1777, 0, "/"),
        ]);
        let owners = "brc/mine\t/var/lib/mine\nbrc/mine\t/var/lib/mine/seed\nother\t/var\nother\t/usr/lib/a\n";
        let stated = [path("var/lib/mine"), path("var/lib/my 100% \"x\"")];
        let visible = visible(root, owners, &stated).unwrap();
        assert_eq!(
            visible.lists,
            [
                (
                    path("usr/lib/tmpfiles.d/00-brc-factory.conf"),
                    "d /var/lib/mine 0700 899 899 -\nC /var/lib/mine/seed - - - -\n\
                     d \"/var/lib/my 100%% \\\"x\\\"\" 0755 899 899 -\nL /var/run - - - - ../my\\x20run\n"
                        .to_owned()
                ),
                (
                    path("usr/lib/tmpfiles.d/zz-brc-factory.conf"),
                    "d /run/lock 1777 0 0 -\nd /tmp/plain 0755 0 0 -\nd /var/cache 0755 0 0 -\nd /var/lib 0755 0 0 -\n"
                        .to_owned()
                ),
            ]
        );
        let kept = path("usr/share/factory/var/lib/mine/seed");
        assert_eq!(
            visible.tree.metadata(&kept).unwrap(),
            Metadata { uid: 899, gid: 899, ..Metadata::with_mode(0o600) }
        );
        let left: Vec<&str> = visible.tree.entries().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            left,
            [
                "dev",
                "run",
                "tmp",
                "usr",
                "usr/lib",
                "usr/lib/a",
                "usr/share",
                "usr/share/factory",
                "usr/share/factory/var",
                "usr/share/factory/var/lib",
                "usr/share/factory/var/lib/mine",
                "usr/share/factory/var/lib/mine/seed",
                "var"
            ]
        );
        for line in [
            "brc/mine\t/usr/share/factory/var/lib/mine/seed\n",
            "brc\t/usr/share/factory\n",
            "brc\t/usr/lib/tmpfiles.d/00-brc-factory.conf\n",
            "other\t/var\n",
        ] {
            assert!(visible.owners.contains(line), "{line:?} in {}", visible.owners);
        }
        assert!(!visible.owners.contains("\t/var/lib/mine\n"));
    }

    #[test]
    fn a_root_that_hides_nothing_stays_as_it_is() {
        let root = tree(&[("usr/lib/a", 0o644, 0, "a"), ("var", 0o755, 0, "/"), ("run", 0o755, 0, "/")]);
        let owners = "a\t/usr\na\t/usr/lib\na\t/usr/lib/a\n";
        assert_eq!(
            visible(root.clone(), owners, &[]).unwrap(),
            Visible { tree: root, owners: owners.to_owned(), lists: vec![] }
        );
    }

    #[test]
    fn files_that_nobody_would_see_are_refused_all_at_once() {
        let root = tree(&[
            ("run/a/b", 0o644, 0, "b"),
            ("tmp/c", 0o777, 0, "-> d"),
            ("sys/e", 0o644, 0, "e"),
            ("var/run/f", 0o644, 0, "f"),
        ]);
        let error = visible(root, "pkg\t/run/a/b\n", &[]).unwrap_err().to_string();
        for part in ["`/run/a/b` of `pkg`\n", "`/tmp/c` of `a finish step`\n", "`/sys/e` of", "`/var/run/f` of"] {
            assert!(error.contains(part), "{part:?} in {error}");
        }
        let odd = tree(&[("var/a\nb", 0o644, 0, "x")]);
        assert!(matches!(visible(odd, "", &[]), Err(FactoryError::Unprintable { .. })));
    }
}
