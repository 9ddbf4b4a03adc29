//! Where two trees differ.

use std::{collections::BTreeSet, fmt};

use super::{Digest, Entry, Metadata, RelPath, Tree};

/// One path at which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path.
    pub path: RelPath,
    /// How.
    pub how: Differs,
}

/// How two trees differ at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differs {
    /// Only the first tree has something there.
    Missing,
    /// Only the second tree has something there.
    Added,
    /// A file has other bytes.
    Bytes {
        /// Those of the first tree.
        first: Digest,
        /// Those of the second tree.
        second: Digest,
    },
    /// A link leads elsewhere, or what stands there is of another kind.
    Entry {
        /// In the first tree.
        first: Entry,
        /// In the second tree.
        second: Entry,
    },
    /// Only mode, owner or attributes differ.
    Metadata {
        /// In the first tree.
        first: Metadata,
        /// In the second tree.
        second: Metadata,
    },
}

/// Every path at which two trees differ, sorted.
pub fn differences(first: &Tree, second: &Tree) -> Vec<Difference> {
    let paths: BTreeSet<&RelPath> = first.entries().chain(second.entries()).map(|(path, _)| path).collect();
    let mut found = Vec::new();
    for path in std::iter::once(&RelPath::ROOT).chain(paths) {
        let how = match (first.entry(path), second.entry(path)) {
            (None, None) => continue,
            (Some(_), None) => Differs::Missing,
            (None, Some(_)) => Differs::Added,
            (Some(Entry::File { blob: one, .. }), Some(Entry::File { blob: other, .. })) if one != other => {
                Differs::Bytes { first: *one, second: *other }
            }
            (Some(one), Some(other)) if !same_kind(one, other) => {
                Differs::Entry { first: one.clone(), second: other.clone() }
            }
            _ => match (first.metadata(path), second.metadata(path)) {
                (Some(first), Some(second)) if first != second => Differs::Metadata { first, second },
                _ => continue,
            },
        };
        found.push(Difference { path: path.clone(), how });
    }
    found
}

/// Whether two entries differ in metadata at most.
fn same_kind(first: &Entry, second: &Entry) -> bool {
    match (first, second) {
        (Entry::File { .. }, Entry::File { .. }) => true,
        (first, second) => first == second,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.path)?;
        match &self.how {
            Differs::Missing => write!(f, "is gone"),
            Differs::Added => write!(f, "is new"),
            Differs::Bytes { .. } => write!(f, "has other bytes"),
            Differs::Entry { first, second } => write!(f, "was {}, is {}", Shown(first), Shown(second)),
            Differs::Metadata { first, second } if first.mode != second.mode => {
                write!(f, "had mode {:04o}, has {:04o}", first.mode, second.mode)
            }
            Differs::Metadata { first, second } if (first.uid, first.gid) != (second.uid, second.gid) => {
                write!(f, "belonged to {}:{}, belongs to {}:{}", first.uid, first.gid, second.uid, second.gid)
            }
            Differs::Metadata { .. } => write!(f, "has other attributes"),
        }
    }
}

struct Shown<'a>(&'a Entry);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Entry::File { .. } => f.write_str("a file"),
            Entry::Directory => f.write_str("a folder"),
            Entry::Symlink { target } => write!(f, "a link to `{target}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told_in_the_order_of_paths() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let file = |text: &str, executable| Entry::File {
            blob: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            executable,
        };
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        let mut first = Tree::new();
        let mut second = Tree::new();
        for (name, one, other) in [
            ("a", Some(file("1", false)), Some(file("2", false))),
            ("b", Some(file("1", false)), Some(file("1", true))),
            ("c", Some(file("1", false)), None),
            ("d", None, Some(file("1", false))),
            ("e", Some(link("x")), Some(link("y"))),
            ("f", Some(Entry::Directory), Some(link("y"))),
            ("g", Some(link("y")), Some(link("y"))),
        ] {
            one.into_iter().for_each(|one| first.insert(path(name), one).unwrap());
            other.into_iter().for_each(|other| second.insert(path(name), other).unwrap());
        }
        first.insert_with(path("h"), file("1", false), Metadata::with_mode(0o644)).unwrap();
        second.insert_with(path("h"), file("1", false), Metadata { uid: 7, ..Metadata::with_mode(0o644) }).unwrap();
        let told: Vec<String> = differences(&first, &second).iter().map(ToString::to_string).collect();
        let expected = [
            "`/a` has other bytes",
            "`/b` had mode 0644, has 0755",
            "`/c` is gone",
            "`/d` is new",
            "`/e` was a link to `x`, is a link to `y`",
            "`/f` was a folder, is a link to `y`",
            "`/h` belonged to 0:0, belongs to 7:0",
        ];
        assert_eq!(told, expected);
        assert_eq!(differences(&first, &first), []);
    }
}
