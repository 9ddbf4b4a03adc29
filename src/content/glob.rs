//! Globs over the paths of an image: `*` and `?` inside one name, `**` over any number of names.

use super::RelPath;

/// A pattern over absolute paths, such as `/usr/share/doc/**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob {
    text: String,
    names: Vec<String>,
}

/// A text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a glob: {reason}")]
pub struct GlobError {
    text: String,
    reason: &'static str,
}

impl Glob {
    /// Reads a glob; it starts with `/`, and `**` stands alone between slashes.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let wrong = |reason| Err(GlobError { text: text.to_owned(), reason });
        let Some(rest) = text.strip_prefix('/') else {
            return wrong("it does not start with `/`");
        };
        let names: Vec<String> = rest.split('/').map(str::to_owned).collect();
        for name in &names {
            if name.is_empty() || name == "." || name == ".." {
                return wrong("it has an empty name, `.` or `..`");
            }
            if name.contains("**") && name != "**" {
                return wrong("`**` must stand alone between slashes");
            }
            if name.contains(['[', ']', '{', '}']) {
                return wrong("only `*`, `?` and `**` are known");
            }
        }
        Ok(Glob { text: text.to_owned(), names })
    }

    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the glob has no wildcard, so names exactly one path.
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// The same glob with the folder before its first wildcard, or before its last name, exchanged.
    pub fn map_folder(&self, exchange: impl FnOnce(&RelPath) -> RelPath) -> Glob {
        let is_plain = |name: &&String| !name.contains(['*', '?']);
        let above = self.names.split_last().map_or(&[][..], |(_, above)| above);
        let plain = above.iter().take_while(is_plain).count();
        let (folder, rest) = self.names.split_at(plain);
        let Ok(folder) = RelPath::new(&folder.join("/")) else { return self.clone() };
        let folder = exchange(&folder);
        let names = folder.as_str().split('/').filter(|name| !name.is_empty()).map(str::to_owned);
        let names: Vec<String> = names.chain(rest.iter().cloned()).collect();
        Glob { text: format!("/{}", names.join("/")), names }
    }

    /// Whether `path` fits. A trailing `/**` fits everything below the folder, not the folder itself.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.places(path).last() == Some(&true)
    }

    /// Whether something below the folder `path` may fit.
    pub fn may_match_below(&self, path: &RelPath) -> bool {
        path.is_root() || self.places(path).split_last().is_some_and(|(_, before)| before.contains(&true))
    }

    /// After all names of `path`, before which names of the pattern it may stand; the last place is the pattern's end.
    /// All ways through it are followed at once, name by name: several `**` cost no more than one.
    fn places(&self, path: &RelPath) -> Vec<bool> {
        let end = self.names.len();
        let mut here = vec![false; end + 1];
        here[0] = true;
        for name in path.as_str().split('/') {
            let mut next = vec![false; end + 1];
            for (at, pattern) in self.names.iter().enumerate() {
                if pattern == "**" {
                    // It may also stand for no name, but for the last one it stands for at least one.
                    here[at + 1] |= here[at] && at + 1 < end;
                    next[at] |= here[at];
                    next[at + 1] |= here[at] && at + 1 == end;
                } else if here[at] && matches_name(pattern.as_bytes(), name.as_bytes()) {
                    next[at + 1] = true;
                }
            }
            here = next;
        }
        here
    }
}

fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    // Greedy with one point to come back to: linear in practice, quadratic at worst, never exponential.
    let (mut at, mut pos, mut back) = (0, 0, None);
    while pos < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at, pos));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[pos] => {
                at += 1;
                pos += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    at = star + 1;
                    pos = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_what_they_say() {
        for (glob, path, fits) in [
            ("/usr/share/doc/**", "usr/share/doc/a/b", true),
            ("/usr/share/doc/**", "usr/share/doc", false),
            ("/usr/**/*.py", "usr/a.py", true),
            ("/usr/**/*.py", "usr/lib/x/a.py", true),
            ("/usr/*/a", "usr/lib/x/a", false),
            ("/usr/li?/a", "usr/lib/a", true),
            ("/usr/lib*so*1", "usr/libxsoso.1", true),
            ("/usr", "usr", true),
            ("/**", "usr", true),
            ("/**/**/x", "x", true),
            ("/**/x/**", "x", false),
            ("/**/x/**", "a/x/b/c", true),
        ] {
            let path = RelPath::new(path).unwrap();
            assert_eq!(Glob::new(glob).unwrap().matches(&path), fits, "{glob} {path}");
        }
    }

    #[test]
    fn many_wildcards_are_not_tried_in_every_way() {
        let glob = Glob::new(&"/**/a".repeat(40)).unwrap();
        // Not one way fits, of more than there are atoms.
        assert!(!glob.matches(&RelPath::new(&format!("{}b", "a/".repeat(120))).unwrap()));
    }

    #[test]
    fn folders_above_what_fits_are_known() {
        for (glob, folder, may) in [
            ("/usr/lib/x", "usr", true),
            ("/usr/lib/x", "usr/lib", true),
            ("/usr/lib/x", "usr/lib/x", false),
            ("/usr/lib/x", "etc", false),
            ("/*.kdl", "usr", false),
            ("/*/a.kdl", "usr", true),
            ("/**/a.kdl", "usr/lib", true),
            ("/usr/**", "usr/lib", true),
            ("/usr/**/a", "etc", false),
        ] {
            assert_eq!(
                Glob::new(glob).unwrap().may_match_below(&RelPath::new(folder).unwrap()),
                may,
                "{glob} {folder}"
            );
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for text in ["usr", "/a//b", "/a/**b", "/[a]", "/../x"] {
            assert!(Glob::new(text).is_err(), "{text}");
        }
    }
}
