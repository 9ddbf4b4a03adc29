//! What a folder of the inputs became: the input's tree with the changes that stand in the overlay's upper folder.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, path::Path};

use super::{
    output::{Found, OutputError, Taker, What, add},
    scratch::{Layering, Scratch},
};
use crate::content::{Entry, Metadata, RelPath, Tree, TreeError};

/// The content of `path` after the command.
///
/// Owner, mode and attributes are the input's as long as the path is of the same kind: a checkout shows every file
/// as 0444 or 0555, so a mode counts as changed only when it is another than the checkout showed. A file with new
/// content loses its attributes, as the kernel has it for capabilities. What is new belongs to root.
pub(super) fn changed(
    taker: Taker<'_>,
    scratch: &Scratch,
    checkout: &Path,
    inputs: &Tree,
    path: &RelPath,
) -> Result<Tree, OutputError> {
    let found = taker.read(&scratch.upper(), path)?;
    let shown = |below: &RelPath| shown_mode(&path.join(below).on(checkout));
    let mut before = inputs.subtree(path).unwrap_or_default();
    if scratch.layering() == Layering::Copy {
        // A copy has nothing that stands for what was removed.
        let there: BTreeSet<&RelPath> = found.iter().map(|found| &found.path).collect();
        before = without(&before, |path| !there.contains(path)).map_err(|source| OutputError::Tree { source })?;
    }
    apply(&before, found, &shown).map_err(|source| OutputError::Tree { source })
}

fn shown_mode(path: &Path) -> Option<u16> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.mode() & 0o7777) as u16)
}

/// The tree without some paths, and without what lies below them.
fn without(tree: &Tree, is_gone: impl Fn(&RelPath) -> bool) -> Result<Tree, TreeError> {
    let mut left = Tree::new();
    for (path, entry) in tree.entries() {
        if !is_gone(path) && !path.ancestors().any(|above| is_gone(&above)) {
            let metadata = tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
            left.insert_with(path.clone(), entry.clone(), metadata)?;
        }
    }
    if let Some(root) = tree.metadata(&RelPath::ROOT) {
        left.set_metadata(RelPath::ROOT, root);
    }
    Ok(left)
}

/// Applies what was found, folders before what is in them, to what was there.
fn apply(before: &Tree, found: Vec<Found>, shown: &dyn Fn(&RelPath) -> Option<u16>) -> Result<Tree, TreeError> {
    // What was there under the same name and as the same kind of thing; what lies below something new was not.
    let kept = |found: &Found| -> Option<(Entry, Entry)> {
        let (old, new) = (before.entry(&found.path)?, found.entry()?);
        let is_new = matches!(found.what, What::Folder { opaque: true }) && !found.path.is_root();
        (!is_new && is_same_kind(old, &new)).then(|| (old.clone(), new))
    };
    let gone: BTreeSet<RelPath> = found
        .iter()
        .filter(|found| kept(found).is_none_or(|(old, new)| old != new))
        .map(|found| found.path.clone())
        .collect();
    let mut tree = without(before, |path| gone.contains(path))?;
    for found in found {
        let Some(entry) = found.entry() else { continue };
        let is_below_new = found.path.ancestors().any(|above| gone.contains(&above));
        let Some((old, _)) = kept(&found).filter(|_| !is_below_new) else {
            add(&mut tree, found.path, entry, found.mode)?;
            continue;
        };
        let metadata = before.metadata(&found.path).unwrap_or_else(|| old.plain_metadata());
        let metadata = merged(metadata, &old, &entry, found.mode, shown(&found.path));
        let entry = with_mode(entry, metadata.mode);
        // A file's entry also says whether it is executable, which follows its mode.
        let there = tree.entry(&found.path).cloned();
        if there.as_ref() != Some(&entry) {
            if there.is_some() {
                tree.remove(&found.path);
            }
            tree.insert(found.path.clone(), entry)?;
        }
        tree.set_metadata(found.path, metadata);
    }
    Ok(tree)
}

fn is_same_kind(one: &Entry, other: &Entry) -> bool {
    matches!(
        (one, other),
        (Entry::File { .. }, Entry::File { .. })
            | (Entry::Directory, Entry::Directory)
            | (Entry::Symlink { .. }, Entry::Symlink { .. })
    )
}

fn merged(before: Metadata, old: &Entry, new: &Entry, mode: u16, shown: Option<u16>) -> Metadata {
    let is_link = matches!(new, Entry::Symlink { .. });
    let mode = if is_link || shown == Some(mode) { before.mode } else { mode };
    let has_new_content = match (old, new) {
        (Entry::File { blob: old, .. }, Entry::File { blob: new, .. }) => old != new,
        _ => false,
    };
    let xattrs = if has_new_content { Default::default() } else { before.xattrs };
    Metadata { mode, xattrs, ..before }
}

/// The entry as its mode says.
fn with_mode(entry: Entry, mode: u16) -> Entry {
    match entry {
        Entry::File { blob, size, .. } => Entry::File { blob, size, executable: mode & 0o111 != 0 },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Digest;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn file(text: &str, executable: bool) -> Entry {
        Entry::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64, executable }
    }

    fn found(at: &str, what: What, mode: u16) -> Found {
        Found { path: path(at), what, mode }
    }

    fn content(text: &str) -> What {
        What::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64 }
    }

    fn input() -> Tree {
        let mut tree = Tree::new();
        let mut ping = Metadata::with_mode(0o755);
        ping.xattrs.insert("security.capability".into(), b"cap".to_vec());
        tree.insert_with(path("bin/ping"), file("ping", true), ping).unwrap();
        let shadow = Metadata { mode: 0o640, uid: 0, gid: 42, xattrs: Default::default() };
        tree.insert_with(path("etc/shadow"), file("root:*", false), shadow).unwrap();
        tree.insert(path("etc/old/a"), file("a", false)).unwrap();
        tree.insert(path("link"), Entry::Symlink { target: "etc".into() }).unwrap();
        tree
    }

    fn shown(at: &RelPath) -> Option<u16> {
        Some(match at.as_str() {
            "bin/ping" => 0o555,
            "etc/shadow" | "etc/old/a" => 0o444,
            "" | "bin" | "etc" | "etc/old" => 0o755,
            _ => return None,
        })
    }

    #[test]
    fn nothing_found_means_nothing_changed() {
        assert_eq!(apply(&input(), Vec::new(), &shown).unwrap(), input());
    }

    #[test]
    fn copied_up_paths_keep_owner_mode_and_attributes() {
        let upper = vec![
            found("", What::Folder { opaque: false }, 0o755),
            found("bin", What::Folder { opaque: false }, 0o755),
            found("bin/ping", content("ping"), 0o555),
            found("etc", What::Folder { opaque: false }, 0o755),
            found("etc/shadow", content("root:*\nsys:*"), 0o444),
        ];
        let tree = apply(&input(), upper, &shown).unwrap();
        assert_eq!(tree.metadata(&path("bin/ping")), input().metadata(&path("bin/ping")));
        assert_eq!(tree.metadata(&path("etc/shadow")).unwrap().gid, 42);
        assert_eq!(tree.metadata(&path("etc/shadow")).unwrap().mode, 0o640);
        assert_eq!(tree.entry(&path("etc/shadow")), Some(&file("root:*\nsys:*", false)));
    }

    #[test]
    fn a_changed_mode_counts_and_new_content_has_no_capability() {
        let upper = vec![found("bin/ping", content("pong"), 0o4755), found("etc/old/a", content("a"), 0o700)];
        let tree = apply(&input(), upper, &shown).unwrap();
        let ping = tree.metadata(&path("bin/ping")).unwrap();
        assert_eq!((ping.mode, ping.xattrs.len()), (0o4755, 0));
        assert_eq!(tree.entry(&path("etc/old/a")), Some(&file("a", true)));
    }

    #[test]
    fn what_was_removed_or_replaced_is_gone() {
        let upper = vec![
            found("etc/old", What::Folder { opaque: true }, 0o755),
            found("etc/old/b", content("b"), 0o644),
            found("etc/shadow", What::Removed, 0),
            found("link", What::Folder { opaque: false }, 0o750),
            found("link/c", content("c"), 0o644),
            found("bin/ping", What::Symlink("pong".into()), 0o777),
        ];
        let tree = apply(&input(), upper, &shown).unwrap();
        let paths: Vec<&str> = tree.entries().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["bin", "bin/ping", "etc", "etc/old", "etc/old/b", "link", "link/c"]);
        assert_eq!(tree.metadata(&path("link")).unwrap().mode, 0o750);
        assert_eq!(tree.metadata(&path("bin/ping")).unwrap(), Metadata::with_mode(0o777));
    }
}
