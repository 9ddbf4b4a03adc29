//! Relative paths that cannot leave the folder they are joined to.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

/// The longest single name, in bytes (`NAME_MAX` of Linux).
const MAX_NAME_BYTES: usize = 255;

/// A path below some root: names joined by `/`, no empty name, no `.`, no `..`, no NUL.
///
/// The root itself is the empty path. Paths sort bytewise, so a folder comes before what is in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(String);

/// A text is not a path below a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path below a root: {reason}")]
pub struct RelPathError {
    path: String,
    reason: &'static str,
}

/// A [`RelPath`] of a constant text; one that is no path does not compile.
macro_rules! rel_path {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const { assert!($crate::content::RelPath::is_constant(TEXT), "this is not a path below a root") };
        $crate::content::RelPath::constant(TEXT)
    }};
}
pub(crate) use rel_path;

impl RelPath {
    /// The root itself.
    pub const ROOT: RelPath = RelPath(String::new());
    /// The longest path that is read, in bytes: three quarters of Linux's `PATH_MAX`, so that it can be joined to a
    /// folder of the host and still be named to the kernel.
    pub const MAX_BYTES: usize = 3072;

    /// Reads a path without a leading `/`; the empty text is the root.
    pub fn new(path: &str) -> Result<Self, RelPathError> {
        let wrong = |reason| Err(RelPathError { path: path.escape_debug().to_string(), reason });
        if path.is_empty() {
            return Ok(Self::ROOT);
        }
        if path.len() > Self::MAX_BYTES {
            return wrong("it is longer than 3,072 bytes");
        }
        for name in path.split('/') {
            match name {
                "" => return wrong("it has an empty name (a leading, trailing or double `/`)"),
                "." | ".." => return wrong("it has a `.` or `..`"),
                _ if name.contains('\0') => return wrong("it has a NUL byte"),
                _ if name.len() > MAX_NAME_BYTES => return wrong("a name is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// A path that stands in the program; [`rel_path!`](crate::content::rel_path) has the compiler look at it.
    #[doc(hidden)]
    pub fn constant(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// Whether a text is a path with a name in it, as the compiler can tell.
    #[doc(hidden)]
    pub const fn is_constant(path: &str) -> bool {
        let bytes = path.as_bytes();
        let (mut at, mut begin) = (0, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b'/' {
                let length = at - begin;
                let dots =
                    length > 0 && bytes[begin] == b'.' && (length == 1 || length == 2 && bytes[begin + 1] == b'.');
                if length == 0 || length > MAX_NAME_BYTES || dots {
                    return false;
                }
                begin = at + 1;
            } else if bytes[at] == 0 {
                return false;
            }
            at += 1;
        }
        bytes.len() <= Self::MAX_BYTES
    }

    /// Reads an absolute path as it is inside an image: `/usr/bin` is `usr/bin`, `/` the root.
    pub fn from_absolute(path: &str) -> Result<Self, RelPathError> {
        match path.strip_prefix('/') {
            Some(rest) => Self::new(rest),
            None => Err(RelPathError { path: path.to_owned(), reason: "it does not start with `/`" }),
        }
    }

    /// Reads a path as archives write it: a leading `./` or `/` and a trailing `/` are dropped.
    pub fn from_archive(path: &str) -> Result<Self, RelPathError> {
        let path = path.strip_prefix("./").unwrap_or(path).trim_start_matches('/');
        let path = path.strip_suffix('/').unwrap_or(path);
        if path == "." { Ok(Self::ROOT) } else { Self::new(path) }
    }

    /// The path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of `other` below this one.
    pub fn join(&self, other: &RelPath) -> RelPath {
        match (self.is_root(), other.is_root()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => RelPath(format!("{}/{}", self.0, other.0)),
        }
    }

    /// The folder that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<RelPath> {
        if self.is_root() {
            return None;
        }
        Some(RelPath(self.0.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())))
    }

    /// The number of names; 0 for the root.
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { 1 + self.0.bytes().filter(|byte| *byte == b'/').count() }
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// Every folder above this path, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = RelPath> + use<> {
        let mut next = self.parent();
        std::iter::from_fn(move || {
            let current = next.take().filter(|path| !path.is_root())?;
            next = current.parent();
            Some(current)
        })
    }

    /// This path below `root`, or `None` when it does not lie there.
    pub fn below(&self, root: &RelPath) -> Option<RelPath> {
        if root.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(root.as_str())?;
        match rest.strip_prefix('/') {
            Some(rest) => Some(RelPath(rest.to_owned())),
            None => rest.is_empty().then_some(Self::ROOT),
        }
    }

    /// The path on a disk below `root`.
    pub fn on(&self, root: &Path) -> PathBuf {
        if self.is_root() { root.to_owned() } else { root.join(&self.0) }
    }
}

impl fmt::Display for RelPath {
    /// Writes the path as it is seen inside an image, with a leading `/`. A name that comes from anywhere must not begin a
    /// line of its own, so control characters are written out (`\n`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", OneLine(&self.0))
    }
}

/// A name of anybody's as it stands within a line for people: control characters are written out.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter.is_control() {
            true => write!(f, "{}", letter.escape_default()),
            false => f.write_char(letter),
        })
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath(/{})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_takes_the_paths_that_are_read() {
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        let texts =
            ["a", "a/b", "..a/.b", "a/...", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "a\0", &long, &long[1..]];
        for text in texts {
            assert_eq!(RelPath::is_constant(text), RelPath::new(text).is_ok(), "{text:?}");
        }
        assert!(!RelPath::is_constant(""), "the root has a name of its own");
        assert_eq!(rel_path!("usr/lib").as_str(), "usr/lib");
    }

    #[test]
    fn paths_that_leave_their_root_are_refused() {
        for bad in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a\0b", &"x".repeat(256), &"a/".repeat(3000)] {
            assert!(RelPath::new(bad).is_err(), "{bad}");
        }
        for bad in ["../../etc/passwd", "a/../../b"] {
            assert!(RelPath::from_archive(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_joined_and_taken_apart() {
        let path = RelPath::from_archive("./usr/bin/").unwrap();
        assert_eq!(path.as_str(), "usr/bin");
        assert_eq!(path.to_string(), "/usr/bin");
        // No name begins a line, as one that could be pasted.
        assert_eq!(RelPath::new("é\nnext: rm\u{1b}").unwrap().to_string(), "/é\\nnext: rm\\u{1b}");
        assert_eq!(path.name(), "bin");
        assert_eq!(path.parent().unwrap().as_str(), "usr");
        assert_eq!(path.below(&RelPath::new("usr").unwrap()).unwrap().as_str(), "bin");
        assert_eq!(path.below(&RelPath::new("us").unwrap()), None);
        let deep = RelPath::new("a/b/c").unwrap();
        let above: Vec<String> = deep.ancestors().map(|p| p.as_str().to_owned()).collect();
        assert_eq!(above, ["a/b", "a"]);
    }
}
