//! What a component's build wrote where nobody takes it: outside its outputs and outside the folders for its work.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::Path,
};

use super::output::names;
use crate::content::RelPath;

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
pub(super) fn strays(upper: &Path, before: &[&Path], work: &[RelPath]) -> io::Result<Strays> {
    let mut strays = Strays { named: Vec::new(), count: 0 };
    look(upper, &RelPath::ROOT, before, work, &mut strays)?;
    Ok(strays)
}

/// Looks in the folder `at`, which is `folder` inside.
fn look(at: &Path, folder: &RelPath, before: &[&Path], work: &[RelPath], strays: &mut Strays) -> io::Result<()> {
    let found = match names(at) {
        // Only the command can have made a folder so.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            strays.add(folder.clone());
            return Ok(());
        }
        found => found?,
    };
    for at in found {
        let metadata = fs::symlink_metadata(&at)?;
        // A name that is no text, or more than a path may be, is told by its folder; no input has it.
        let Some(Ok(name)) = at.file_name().and_then(|name| name.to_str()).map(RelPath::new) else {
            strays.add(folder.clone());
            continue;
        };
        let path = folder.join(&name);
        if work.contains(&path) || name.as_str() == CACHE {
            continue;
        }
        if metadata.is_dir() {
            look(&at, &path, before, work, strays)?;
        } else if (metadata.is_file() || metadata.is_symlink()) && !is_as_before(&at, &metadata, &path, before)? {
            strays.add(path);
        }
    }
    Ok(())
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
    };

    use super::*;

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
        let found = || strays(&upper, &[&before, &folder.path().join("nothing")], &work).unwrap();
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
        assert_eq!(named, ["/usr/bin/as", "/usr/bin/cc", "/usr/bin/ld", "/usr/local/lib/0.so", "/usr/local/lib/1.so"]);
        assert_eq!(found().count, 8);
    }
}
