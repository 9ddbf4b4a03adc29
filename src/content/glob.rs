//! Globs over the paths of an image: `*` and `?` inside one name, `**` over any number of names.

use super::RelPath;

/// A pattern over absolute paths, such as `/usr/share/doc/**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Whether `path` fits. A trailing `/**` fits everything below the folder, not the folder itself.
    pub fn matches(&self, path: &RelPath) -> bool {
        let names: Vec<&str> = path.as_str().split('/').collect();
        matches_names(&self.names, &names)
    }
}

fn matches_names(pattern: &[String], names: &[&str]) -> bool {
    match pattern.split_first() {
        None => names.is_empty(),
        Some((first, [])) if first == "**" => !names.is_empty(),
        Some((first, rest)) if first == "**" => (0..=names.len()).any(|skip| matches_names(rest, &names[skip..])),
        Some((first, rest)) => match names.split_first() {
            Some((name, names)) => matches_name(first.as_bytes(), name.as_bytes()) && matches_names(rest, names),
            None => false,
        },
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
        ] {
            let path = RelPath::new(path).unwrap();
            assert_eq!(Glob::new(glob).unwrap().matches(&path), fits, "{glob} {path}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for text in ["usr", "/a//b", "/a/**b", "/[a]", "/../x"] {
            assert!(Glob::new(text).is_err(), "{text}");
        }
    }
}
