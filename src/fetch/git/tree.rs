//! The files of a commit as a tree of the store.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GitFormatError, ObjectName,
    pack::{GitLimits, Kind, Objects},
};
use crate::{
    content::{Digest, Entry, RelPath, Tree},
    store::Blobs,
};

/// The longest target of a link that Linux takes.
const MAX_TARGET_BYTES: usize = 4095;

/// One entry of a tree of git.
struct Listed {
    path: RelPath,
    mode: u32,
    object: ObjectName,
}

/// Every file of a commit, its bytes in the store. Of modes only whether a file may be executed is there.
pub(super) fn tree_of(
    objects: &Objects,
    commit: ObjectName,
    blobs: &dyn Blobs,
    limits: &GitLimits,
) -> Result<Tree, GitFormatError> {
    let mut tree = Tree::new();
    let mut stored: BTreeMap<ObjectName, Digest> = BTreeMap::new();
    let mut next = vec![(RelPath::ROOT, root_of(objects.get(commit, Kind::Commit)?)?)];
    let mut seen: u64 = 0;
    while let Some((folder, name)) = next.pop() {
        for listed in entries(&folder, objects.get(name, Kind::Tree)?)? {
            // Folders that hold the same may stand in a tree many times, and multiply.
            seen += 1;
            if seen > limits.entries {
                let reason = format!("it has more than {} files and folders", limits.entries);
                return Err(GitFormatError::new(reason));
            }
            let path = listed.path;
            let refused = |reason: &str| GitFormatError::new(format!("`{path}` is refused: {reason}"));
            let entry = match listed.mode {
                0o040000 => {
                    next.push((path, listed.object));
                    continue;
                }
                // Writable for its group: what git wrote in its first months.
                0o100644 | 0o100664 | 0o100755 => {
                    let bytes = objects.get(listed.object, Kind::Blob)?;
                    let blob = match stored.get(&listed.object) {
                        Some(blob) => *blob,
                        None => blobs.put(bytes).map_err(GitFormatError::Store)?,
                    };
                    stored.insert(listed.object, blob);
                    Entry::File { blob, size: bytes.len() as u64, executable: listed.mode & 0o100 != 0 }
                }
                0o120000 => {
                    let target = objects.get(listed.object, Kind::Blob)?;
                    let fits = !target.is_empty() && target.len() <= MAX_TARGET_BYTES && !target.contains(&0);
                    let target = std::str::from_utf8(target).ok().filter(|_| fits);
                    let target = target.ok_or_else(|| refused("it is a link to what is no path of UTF-8"))?;
                    Entry::Symlink { target: target.to_owned() }
                }
                0o160000 => {
                    return Err(refused("it is a submodule, and a recipe set is self-contained: copy its files there"));
                }
                mode => return Err(refused(&format!("its mode is {mode:o}"))),
            };
            let problem = tree.insert(path.clone(), entry).err();
            if let Some(problem) = problem {
                return Err(refused(&problem.to_string()));
            }
        }
    }
    Ok(tree)
}

/// The name of the tree that a commit is of.
fn root_of(commit: &[u8]) -> Result<ObjectName, GitFormatError> {
    let line = commit.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.strip_prefix(b"tree ").and_then(|name| ObjectName::parse(std::str::from_utf8(name).ok()?));
    name.ok_or_else(|| GitFormatError::new("a commit does not begin with its tree"))
}

/// Reads a tree of git: mode, blank, name, zero byte, name of the object, again and again.
fn entries(folder: &RelPath, mut bytes: &[u8]) -> Result<Vec<Listed>, GitFormatError> {
    let wrong = |what: &str| GitFormatError::new(format!("the folder `{folder}` {what}"));
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let cut = |at: u8| bytes.iter().position(|byte| *byte == at).ok_or_else(|| wrong("ends inside an entry"));
        let (blank, zero) = (cut(b' ')?, cut(0)?);
        let mode = bytes.get(..blank).filter(|digits| (5..=6).contains(&digits.len()));
        let mode = mode.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        let mode = mode.ok_or_else(|| wrong("has an entry without a mode"))?;
        let name = bytes.get(blank + 1..zero).ok_or_else(|| wrong("has an entry without a name"))?;
        let end = zero + 1 + ObjectName::BYTES;
        let object = bytes.get(zero + 1..end).and_then(ObjectName::from_slice);
        let object = object.ok_or_else(|| wrong("ends inside an entry"))?;
        let name = std::str::from_utf8(name).map_err(|_| wrong("has a name that is not UTF-8"))?;
        let path = RelPath::new(name).ok().filter(|path| path.depth() == 1);
        let path = path.filter(|_| !name.eq_ignore_ascii_case(".git"));
        let path = path.ok_or_else(|| wrong(&format!("has an entry called `{}`", name.escape_debug())))?;
        if !names.insert(name) {
            return Err(wrong(&format!("has `{}` twice", name.escape_debug())));
        }
        let path = RelPath::new(folder.join(&path).as_str()).map_err(|error| GitFormatError::new(error.to_string()))?;
        found.push(Listed { path, mode, object });
        bytes = bytes.get(end..).unwrap_or_default();
    }
    Ok(found)
}
