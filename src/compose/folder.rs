//! A folder of source: everything in it but what its `.gitignore` files name.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::ComposeError;
use crate::{
    content::{Digest, Entry, RelPath, Tree},
    recipe::PROJECT_FILE,
    store::Store,
};

/// What makes a folder the top of a checkout: `.gitignore` files above it have nothing to say.
const TOPS: [&str; 2] = [".git", PROJECT_FILE];
/// The file of a folder that says what is left out.
const IGNORE_FILE: &str = ".gitignore";

/// The files below `folder` put into the store.
///
/// What the `.gitignore` files of the folder, of those in it and of those above it up to the top of its checkout name
/// is left out, even where git tracks it, and so is `.git`; a folder that is left out itself is the top of its own. No
/// other configuration of git counts, whoever is asked gets the same. Of modes only whether the owner may execute
/// counts; links stay links; a folder without files is not there.
///
/// # Errors
/// The first file that cannot be read, a name that is not UTF-8, something that is neither file nor link.
pub fn source_tree(folder: &Path, store: &Store) -> Result<Tree, ComposeError> {
    let mut tree = Tree::new();
    for found in walk(folder)? {
        let unreadable = |source| ComposeError::Read { path: found.path.clone(), source };
        let entry = match found.kind {
            Kind::Link => {
                let target = fs::read_link(&found.path).map_err(unreadable)?.into_os_string();
                let target = target.into_string().map_err(|_| odd(&found.path, "its target is not UTF-8"))?;
                Entry::Symlink { target }
            }
            Kind::File => {
                let mut file = fs::File::open(&found.path).map_err(unreadable)?;
                let executable = file.metadata().map_err(unreadable)?.permissions().mode() & 0o100 != 0;
                let (blob, size) = store.put_reader(&mut file).map_err(ComposeError::Store)?;
                Entry::File { blob, size, executable }
            }
        };
        tree.insert(found.at, entry).map_err(|error| odd(&found.path, &error.to_string()))?;
    }
    if tree.is_empty() {
        return Err(odd(folder, "nothing is in it that `.gitignore` files do not name"));
    }
    Ok(tree)
}

/// The digests of the files called by one of `names` in the same folder as [`source_tree`] sees it.
///
/// # Errors
/// As for [`source_tree`].
pub fn manifests(folder: &Path, names: &[&str]) -> Result<BTreeMap<RelPath, Digest>, ComposeError> {
    let mut manifests = BTreeMap::new();
    for found in walk(folder)? {
        if names.contains(&found.at.name()) && matches!(found.kind, Kind::File) {
            let bytes =
                fs::read(&found.path).map_err(|source| ComposeError::Read { path: found.path.clone(), source })?;
            manifests.insert(found.at, Digest::of(&bytes));
        }
    }
    Ok(manifests)
}

/// A file or link of a folder.
struct Found {
    path: PathBuf,
    /// Where it is below the folder.
    at: RelPath,
    kind: Kind,
}

enum Kind {
    File,
    Link,
}

/// What is in a folder and not left out. A folder that is left out itself, as one below `target` is, was asked for
/// all the same: what is above it has nothing to say of it.
fn walk(folder: &Path) -> Result<Vec<Found>, ComposeError> {
    let folder = folder.canonicalize().map_err(|source| ComposeError::Read { path: folder.to_owned(), source })?;
    let is_top = |above: &&Path| TOPS.iter().any(|name| above.join(name).exists());
    let top = folder.ancestors().find(is_top).unwrap_or(&folder);
    let is_folder = |entry: Result<ignore::DirEntry, _>| entry.is_ok_and(|entry| entry.path() == folder);
    let odd_folder = Arc::default();
    let top = if walk_below(top, &folder, &odd_folder).any(is_folder) { top } else { &folder };
    let mut found = Vec::new();
    for entry in walk_below(top, &folder, &odd_folder).take_while(|_| odd_folder.get().is_none()) {
        let entry = entry.map_err(|error| {
            let shown = error.to_string();
            let source = error.into_io_error().unwrap_or_else(|| io::Error::other(shown));
            ComposeError::Read { path: folder.clone(), source }
        })?;
        // A pattern that cannot be read ignores nothing, and what it was to leave out would be built from.
        if let Some(error) = entry.error() {
            return Err(odd(entry.path(), &format!("{error}")));
        }
        let Ok(name) = entry.path().strip_prefix(&folder) else { continue };
        let path = entry.path().to_owned();
        let kind = match entry.file_type() {
            Some(kind) if kind.is_file() => Kind::File,
            Some(kind) if kind.is_symlink() => Kind::Link,
            Some(kind) if kind.is_dir() => continue,
            _ => return Err(odd(&path, "it is neither file, folder nor link")),
        };
        let name = name.to_str().ok_or_else(|| odd(&path, "its name is not UTF-8"))?;
        let at = RelPath::new(name).map_err(|error| odd(&path, &error.to_string()))?;
        found.push(Found { path, at, kind });
    }
    match odd_folder.get() {
        Some(folder) => Err(odd(&folder.join(IGNORE_FILE), "patterns are read from a file, and this is none")),
        None => Ok(found),
    }
}

/// The way from `top` to a folder below it and all that is in that, but for what `.gitignore` files name. A folder whose
/// own would be read from elsewhere, or never end, is noted and not entered.
fn walk_below(top: &Path, folder: &Path, odd_folder: &Arc<OnceLock<PathBuf>>) -> ignore::Walk {
    let (folder, odd_folder) = (folder.to_owned(), Arc::clone(odd_folder));
    let is_read = move |folder: &Path| {
        let is_odd = folder.join(IGNORE_FILE).symlink_metadata().is_ok_and(|found| !found.is_file());
        if is_odd {
            odd_folder.get_or_init(|| folder.to_owned());
        }
        !is_odd
    };
    ignore::WalkBuilder::new(top)
        .standard_filters(false)
        // Of the folder that it begins with, no filter is asked.
        .git_ignore(is_read(top))
        .require_git(false)
        .filter_entry(move |entry| {
            let is_on_the_way = entry.path().starts_with(&folder) || folder.starts_with(entry.path());
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            is_on_the_way && entry.file_name() != ".git" && (!is_folder || is_read(entry.path()))
        })
        .build()
}

fn odd(path: &Path, reason: &str) -> ComposeError {
    ComposeError::Read { path: path.to_owned(), source: io::Error::other(reason.to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(folder: &Path, store: &Store) -> Vec<String> {
        let tree = source_tree(folder, store).unwrap();
        let files = tree.entries().filter(|(_, entry)| !matches!(entry, Entry::Directory));
        files.map(|(path, _)| path.as_str().to_owned()).collect()
    }

    #[test]
    fn what_git_ignores_is_left_out_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let set = folder.path().join("set");
        for (path, text) in [
            (".gitignore", "never"),
            ("set/brc.kdl", "project \"x\""),
            ("set/.gitignore", "target/\n*.log\n"),
            ("set/host/.gitignore", "/made\n!kept.log\n"),
            ("set/host/.hidden", ""),
            ("set/host/.ignore", "src"),
            ("set/host/sub/.git/config", ""),
            ("set/host/src/main.rs", "fn main() {}"),
            ("set/host/src/made", ""),
            ("set/host/made", ""),
            ("set/host/never", ""),
            ("set/host/target/x", ""),
            ("set/host/a.log", ""),
            ("set/host/kept.log", ""),
            ("set/other/x", ""),
        ] {
            write(folder.path(), path, text);
        }
        fs::create_dir(set.join("host/empty")).unwrap();
        symlink("src/main.rs", set.join("host/link")).unwrap();
        fs::set_permissions(set.join("host/src/main.rs"), fs::Permissions::from_mode(0o711)).unwrap();
        let expected = [".gitignore", ".hidden", ".ignore", "kept.log", "link", "never", "src/made", "src/main.rs"];
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(names(&set.join("host"), &store), expected);
        assert_eq!(names(&set.join("other/../host"), &store), expected, "a path with `..`");
        let tree = source_tree(&set.join("host"), &store).unwrap();
        let main = tree.entry(&RelPath::new("src/main.rs").unwrap());
        assert!(matches!(main, Some(Entry::File { executable: true, .. })), "{main:?}");
        assert_eq!(tree.special_metadata().count(), 0);
        let link = tree.entry(&RelPath::new("link").unwrap());
        assert_eq!(link, Some(&Entry::Symlink { target: "src/main.rs".to_owned() }));
    }

    #[test]
    fn a_folder_that_is_left_out_itself_is_the_top_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        for (path, text) in [
            (".gitignore", "/target\n*.c\n"),
            ("brc.kdl", "project \"x\""),
            ("target/sources/one/.gitignore", "*.o"),
            ("target/sources/one/main.c", ""),
            ("target/sources/one/main.o", ""),
        ] {
            write(folder.path(), path, text);
        }
        for (named, expected) in [
            ("target/sources/one", [".gitignore", "main.c"]),
            ("target", ["sources/one/.gitignore", "sources/one/main.c"]),
        ] {
            assert_eq!(names(&folder.path().join(named), &store), expected, "{named}");
        }
    }

    #[test]
    fn patterns_are_read_from_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        write(folder.path(), "patterns", "*.o");
        for (at, named) in [(".", "src/in"), ("src", "src"), ("src/in", "src"), ("src/in/deep", "src")] {
            let project = tempfile::tempdir_in(folder.path()).unwrap();
            write(project.path(), "brc.kdl", "");
            write(project.path(), "src/in/deep/main.c", "");
            let link = project.path().join(at).join(".gitignore");
            symlink(folder.path().join("patterns"), &link).unwrap();
            let error = source_tree(&project.path().join(named), &store).unwrap_err();
            let ComposeError::Read { path, source } = error else { panic!("{error:?}") };
            assert_eq!(path, link.parent().unwrap().canonicalize().unwrap().join(".gitignore"), "{at} {source}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let source = folder.path().join("source");
        write(&source, ".gitignore", "*.o\n[z-a]\n");
        write(&source, "a.c", "");
        let error = source_tree(&source, &store).unwrap_err();
        assert!(matches!(error, ComposeError::Read { source, .. } if source.to_string().contains("[z-a]")));
    }

    #[test]
    fn a_folder_without_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let source = folder.path().join("source");
        write(&source, ".gitignore", "*");
        let error = source_tree(&source, &store).unwrap_err();
        assert!(matches!(error, ComposeError::Read { source, .. } if source.to_string().contains("nothing is in it")));
    }
}
