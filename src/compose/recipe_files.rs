//! The files that reading recipes asks for: looked up in the folders of their sets, and nowhere else.

use std::{collections::BTreeMap, fs, io, io::Read as _, os::unix::ffi::OsStrExt as _, path::Path};

use super::{
    ComposeError,
    beneath::{Beneath, is_missing, is_outside, set_of},
};
use crate::recipe::{FileGlob, NextFiles, Presence, SourcePath, SourceSet};

/// The most bytes that are read of a recipe; one more than recipes may have, so that too long ones are noticed.
pub(super) const MAX_RECIPE_BYTES: u64 = (1 << 20) + 1;
/// The most names that are looked at for one pattern.
const MAX_LOOKED_AT: usize = 100_000;

/// Answers what reading the recipes of the project in `root` wants to know.
///
/// # Errors
/// A file or folder that is there and cannot be read, and a pattern that looks at too many names: recipes that are not
/// read would be missed by nobody.
pub(super) fn answer(root: &Path, sources: &mut SourceSet, wanted: &NextFiles) -> Result<(), ComposeError> {
    let mut sets = Sets { root, wanted, opened: BTreeMap::new(), most: MAX_LOOKED_AT };
    for path in &wanted.files {
        let unreadable = |source| ComposeError::Read { path: root.join(path.as_str()), source };
        match sets.around(path).and_then(|(set, below)| set.file(below)) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(MAX_RECIPE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
                sources.add_file(path.clone(), bytes);
            }
            Err(error) if is_outside(&error) => sources.add_outside(path.clone()),
            Err(error) if is_missing(&error) => sources.add_missing(path.clone()),
            Err(error) => return Err(unreadable(error)),
        }
    }
    for glob in &wanted.globs {
        let found = sets.matches(glob)?;
        sources.add_matches(glob.clone(), found);
    }
    for path in &wanted.presence {
        let presence = sets.presence(path)?;
        sources.add_presence(path.clone(), presence);
    }
    for path in &wanted.anywhere {
        let is_folder = root.join(path.as_str()).is_dir();
        sources.add_presence(path.clone(), if is_folder { Presence::Folder } else { Presence::Missing });
    }
    Ok(())
}

/// The folders of the recipe sets, opened as they are needed.
struct Sets<'w> {
    root: &'w Path,
    wanted: &'w NextFiles,
    opened: BTreeMap<&'w SourcePath, Beneath>,
    /// The most names that are looked at for one pattern.
    most: usize,
}

impl<'w> Sets<'w> {
    /// The folder of the set that a path lies in, and where in it.
    fn around<'p>(&mut self, path: &'p SourcePath) -> io::Result<(&Beneath, &'p str)> {
        let (set, below) = set_of(&self.wanted.roots, path).ok_or(io::ErrorKind::NotFound)?;
        if !self.opened.contains_key(set) {
            self.opened.insert(set, Beneath::new(&self.root.join(set.as_str()))?);
        }
        let opened = self.opened.get(set).ok_or(io::ErrorKind::NotFound)?;
        Ok((opened, below))
    }

    fn presence(&mut self, path: &SourcePath) -> Result<Presence, ComposeError> {
        match self.around(path).and_then(|(set, below)| set.presence(below)) {
            Err(error) if is_missing(&error) => Ok(Presence::Missing),
            Err(source) => Err(ComposeError::Read { path: self.root.join(path.as_str()), source }),
            Ok(presence) => Ok(presence),
        }
    }

    /// The files that fit a pattern, those behind a link that leads out among them. Links to folders are followed where
    /// the pattern names them, not where a wildcard finds them.
    fn matches(&mut self, wanted: &FileGlob) -> Result<Vec<SourcePath>, ComposeError> {
        let names: Vec<&str> = wanted.pattern.split('/').collect();
        let literal = names.iter().take_while(|name| !name.contains(['*', '?'])).count();
        if literal == names.len() {
            let path = wanted.folder.join(&wanted.pattern);
            let is_there = matches!(self.presence(&path)?, Presence::File | Presence::Outside);
            return Ok(is_there.then_some(path).into_iter().collect());
        }
        let start = names.get(..literal).unwrap_or_default().join("/");
        // The folders before the first wildcard are walked straight to.
        match self.presence(&wanted.folder.join(&start))? {
            Presence::Folder => {}
            Presence::Outside => return Ok(vec![wanted.folder.join(&start)]),
            Presence::File | Presence::Missing => return Ok(Vec::new()),
        }
        let mut found = Vec::new();
        let mut looked_at = 0;
        let mut next = vec![start];
        while let Some(below) = next.pop() {
            let folder = self.root.join(wanted.folder.join(&below).as_str());
            let unreadable = |source| ComposeError::Read { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                looked_at += 1;
                if looked_at > self.most {
                    let (pattern, limit) = (wanted.pattern.clone(), self.most);
                    let folder = self.root.join(wanted.folder.as_str());
                    return Err(ComposeError::TooManyFiles { pattern, folder, limit });
                }
                let name = entry.file_name();
                let shown = String::from_utf8_lossy(name.as_bytes());
                let path = if below.is_empty() { shown.into_owned() } else { format!("{below}/{shown}") };
                let kind = entry.file_type().map_err(unreadable)?;
                let fits = if kind.is_dir() { wanted.may_match_below(&path) } else { wanted.matches(&path) };
                if !fits {
                    continue;
                }
                if name.to_str().is_none() {
                    let source = io::Error::other("its name is not UTF-8, so no recipe can be there: rename it");
                    return Err(ComposeError::Read { path: entry.path(), source });
                }
                if kind.is_dir() {
                    next.push(path);
                } else if kind.is_file() || self.is_file_behind(&wanted.folder.join(&path), &entry.path())? {
                    found.push(wanted.folder.join(&path));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Whether what fits a pattern and is no file itself is to be read all the same.
    fn is_file_behind(&mut self, path: &SourcePath, on_disk: &Path) -> Result<bool, ComposeError> {
        match self.presence(path)? {
            Presence::File | Presence::Outside => Ok(true),
            Presence::Folder => Ok(false),
            Presence::Missing => {
                let source = io::Error::other("it is called like a recipe and is neither a file nor a link to one");
                Err(ComposeError::Read { path: on_disk.to_owned(), source })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::fs::symlink, path::PathBuf};

    use super::*;

    const MOST: usize = 20;

    /// What a pattern finds in a folder, or what is said instead.
    fn find(root: &Path, pattern: &str) -> Result<String, String> {
        let glob = FileGlob { folder: SourcePath::default(), pattern: pattern.to_owned() };
        let wanted = NextFiles { roots: [SourcePath::default()].into(), ..NextFiles::default() };
        let found = Sets { root, wanted: &wanted, opened: BTreeMap::new(), most: MOST }.matches(&glob);
        let told = |error: ComposeError| match error {
            ComposeError::Read { path, source } => format!("{}: {source}", path.display()),
            other => other.to_string(),
        };
        let names = |found: Vec<SourcePath>| found.iter().map(SourcePath::as_str).collect::<Vec<_>>().join(" ");
        found.map(names).map_err(told)
    }

    fn write(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn patterns_find_files_and_links_to_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["a.kdl", "b/c.kdl", "b/d/e.kdl", "b/x", ".h/f.kdl", "b/.g.kdl"] {
            write(root, path);
        }
        symlink("a.kdl", root.join("link.kdl")).unwrap();
        symlink("b", root.join("folder")).unwrap();
        symlink("..", root.join("out.kdl")).unwrap();
        for (pattern, expected) in [
            ("*.kdl", "a.kdl link.kdl out.kdl"),
            ("**/*.kdl", "a.kdl b/c.kdl b/d/e.kdl link.kdl out.kdl"),
            ("b/*.kdl", "b/c.kdl"),
            ("folder/*.kdl", "folder/c.kdl"),
            ("*/c.kdl", "b/c.kdl"),
            (".h/*.kdl", ".h/f.kdl"),
            ("a.kdl", "a.kdl"),
            ("none/*.kdl", ""),
            ("none.kdl", ""),
        ] {
            assert_eq!(find(root, pattern).as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn recipes_that_cannot_be_looked_for_are_no_recipes_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        write(&root, "a.kdl");
        let odd = |name: &[u8]| root.join(OsStr::from_bytes(name));
        let cases: [(PathBuf, fn(&Path), &str); 4] = [
            (odd(b"caf\xe9.kdl"), |path| fs::write(path, "").unwrap(), "its name is not UTF-8"),
            (odd(b"caf\xe9"), |path| fs::create_dir(path).unwrap(), "its name is not UTF-8"),
            (odd(b"dangling.kdl"), |path| symlink("nowhere", path).unwrap(), "neither a file nor a link to one"),
            (odd(b"locked"), |path| fs::create_dir(path).and_then(|()| lock(path)).unwrap(), "ermission denied"),
        ];
        for (path, make, expected) in cases {
            make(&path);
            let told = find(&root, "**/*.kdl");
            // To the superuser no folder is locked.
            if path.ends_with("locked") && fs::read_dir(&path).is_ok() {
                assert_eq!(told.as_deref(), Ok("a.kdl"));
                continue;
            }
            let told = told.unwrap_err();
            assert!(told.contains(expected) && told.starts_with(&*path.to_string_lossy()), "{told}");
            assert_eq!(find(&root, "a.kdl").as_deref(), Ok("a.kdl"), "it does not concern this pattern");
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
        }
    }

    fn lock(path: &Path) -> io::Result<()> {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o0))
    }

    #[test]
    fn more_files_than_can_be_meant_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "recipes/a.kdl");
        for at in 0..MOST {
            write(folder.path(), &format!("many/{at}"));
        }
        let told = find(folder.path(), "**/*.kdl").unwrap_err();
        assert!(told.contains("`read \"**/*.kdl\"` looks at more than 20 names"), "{told}");
        // What cannot hold a recipe is not walked.
        assert_eq!(find(folder.path(), "recipes/**/*.kdl").as_deref(), Ok("recipes/a.kdl"));
        assert_eq!(find(folder.path(), "r*/*.kdl").as_deref(), Ok("recipes/a.kdl"));
    }
}
