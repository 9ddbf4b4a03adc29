//! What a component's build wrote where nobody takes it: outside its outputs and outside the folders for its work.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::Path,
};

use super::{build_trace::BuildTraceError, output::names, watch::Watch};
use crate::content::{RelPath, Tree};

/// So many of the paths are named.
const MAX_NAMED: usize = 5;
const PIECE_BYTES: usize = 64 * 1024;
/// Caches of Python's that it writes beside its modules; nobody misses them.
const CACHE: &str = "__pycache__";

/// What a command wrote where nobody takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strays {
    /// The first paths.
    pub named: Vec<RelPath>,
    /// How many there are.
    pub count: usize,
}

impl Strays {
    fn add(&mut self, path: RelPath) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(path);
        }
    }
}

/// Looks for files and links in `upper` that are in none of the folders `work`, and are not as `before` has them: a
/// file that was only opened for writing is copied up by the overlay.
pub(super) fn strays(
    upper: &Path,
    before: &[&Path],
    work: &[RelPath],
    watch: &Watch<'_>,
) -> Result<Strays, BuildTraceError> {
    let mut strays = Strays { named: Vec::new(), count: 0 };
    let mut waiting = vec![RelPath::ROOT];
    while let Some(folder) = waiting.pop() {
        let failed = |source| BuildTraceError::Read { path: folder.clone(), source };
        let found = match names(&folder.on(upper)) {
            // Only the command can have made a folder so.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                strays.add(folder.clone());
                continue;
            }
            found => found.map_err(failed)?,
        };
        let first = waiting.len();
        for at in found {
            watch.go_on()?;
            // A name that is no text, or a path that no tree holds, is told by its folder; no input has it.
            let name = at.file_name().and_then(|name| name.to_str()).and_then(|name| RelPath::new(name).ok());
            let path = name.map(|name| folder.join(&name)).filter(|path| Tree::check_path(path).is_ok());
            let Some(path) = path else {
                strays.add(folder.clone());
                continue;
            };
            if work.contains(&path) || path.name() == CACHE {
                continue;
            }
            let metadata = fs::symlink_metadata(&at).map_err(failed)?;
            if metadata.is_dir() {
                waiting.push(path);
            } else if metadata.is_file() || metadata.is_symlink() {
                match is_as_before(&at, &metadata, &path, before) {
                    Ok(true) => {}
                    Ok(false) => strays.add(path),
                    // Only the command can have made a file so.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => strays.add(path),
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        // The first name is looked at first.
        waiting[first..].reverse();
    }
    Ok(strays)
}

/// Whether one of the layers has the same at a path.
fn is_as_before(at: &Path, found: &Metadata, path: &RelPath, before: &[&Path]) -> io::Result<bool> {
    for layer in before {
        let old = path.on(layer);
        match fs::symlink_metadata(&old) {
            Ok(metadata) if metadata.file_type() != found.file_type() => return Ok(false),
            Ok(metadata) if metadata.is_symlink() => return Ok(fs::read_link(&old)? == fs::read_link(at)?),
            Ok(metadata) => return Ok(metadata.len() == found.len() && is_same(&old, at)?),
            Err(_) => {}
        }
    }
    Ok(false)
}

/// Whether two files of one size hold the same.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let mut pieces = [vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]];
    loop {
        let [first, second] = &mut pieces;
        let length = one.read(first)?;
        let (first, second) = (first.get(..length).unwrap_or_default(), second.get_mut(..length).unwrap_or_default());
        other.read_exact(second)?;
        if length == 0 || first != second {
            return Ok(length == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_stray_folder_of_any_depth_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let upper = folder.path().join("upper");
        fs::create_dir_all(upper.join(vec!["d"; 300].join("/"))).unwrap();
        let cancelled = AtomicBool::new(false);
        let watch = Watch::start(&cancelled, Duration::MAX);
        let found = strays(&upper, &[], &[], &watch).unwrap();
        assert_eq!((found.count, found.named[0].depth()), (1, Tree::MAX_DEPTH));
        cancelled.store(true, Ordering::Relaxed);
        let stopped = strays(&upper, &[], &[], &watch);
        assert!(matches!(stopped, Err(BuildTraceError::Store { source: StoreError::Stopped })));
    }

    #[test]
    fn what_nobody_takes_is_found_and_what_is_as_before_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, before) = (folder.path().join("upper"), folder.path().join("before"));
        let put = |layer: &Path, path: &str, text: &str| {
            let at = layer.join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, text).unwrap();
        };
        for path in ["out/usr/bin/a", "work/a.o", "usr/lib/python3/__pycache__/a.pyc", "usr/empty/.x/__pycache__/b"] {
            put(&upper, path, "x");
        }
        for layer in [&upper, &before] {
            put(layer, "usr/bin/cc", "opened for writing and left as it was");
            symlink("cc", layer.join("usr/bin/gcc")).unwrap();
        }
        let work = ["out", "work"].map(|path| RelPath::new(path).unwrap());
        let go = AtomicBool::new(false);
        let watch = Watch::start(&go, Duration::MAX);
        let found = || strays(&upper, &[&before, &folder.path().join("nothing")], &work, &watch).unwrap();
        assert_eq!(found(), Strays { named: Vec::new(), count: 0 });

        put(&upper, "usr/bin/cc", "opened for writing and left otherwise");
        put(&before, "usr/bin/ld", "a");
        put(&upper, "usr/bin/ld", "b");
        put(&before, "usr/bin/as", "a");
        symlink("ld", upper.join("usr/bin/as")).unwrap();
        (0..4).for_each(|number| put(&upper, &format!("usr/local/lib/{number}.so"), ""));
        // No text: its folder is named.
        fs::create_dir(upper.join(OsStr::from_bytes(b"usr/x\xff"))).unwrap();
        let named: Vec<String> = found().named.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["/usr", "/usr/bin/as", "/usr/bin/cc", "/usr/bin/ld", "/usr/local/lib/0.so"]);
        assert_eq!(found().count, 8);
    }
}
