//! Where a path really is in trees that are laid over each other: every link to a folder on its way followed.

use std::collections::BTreeMap;

use super::{Entry, Glob, RelPath, Tree};

/// Links on the way of one path at most, as Linux has it (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// How often the places of links that lie behind other links are looked for before that is given up.
const MAX_ROUNDS: usize = 8;

/// The links of some trees, by where they really are.
///
/// A path is *real* when no folder on its way is a link: with `/lib -> usr/lib`, `/lib/a` really is `/usr/lib/a`.
#[derive(Debug, Clone, Default)]
pub struct FolderLinks {
    links: BTreeMap<String, String>,
}

/// A path that leads around in a circle, or becomes too long on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endless {
    /// The link that was followed last.
    pub link: RelPath,
}

impl FolderLinks {
    /// The links of `trees`; of two at the same path the first one counts.
    pub fn of<'t>(trees: impl IntoIterator<Item = &'t Tree>) -> Self {
        let entries = trees.into_iter().flat_map(Tree::entries);
        let stated = entries.filter_map(|(path, entry)| match entry {
            Entry::Symlink { target } => Some((path, target)),
            Entry::File { .. } | Entry::Directory => None,
        });
        Self::of_links(stated)
    }

    /// These links, each with its path and what it says; of two at the same path the first one counts.
    pub fn of_links<'t>(stated: impl IntoIterator<Item = (&'t RelPath, &'t String)>) -> Self {
        let stated: Vec<(&RelPath, &String)> = stated.into_iter().collect();
        let mut all = FolderLinks::default();
        // A link may itself lie behind another one.
        for _ in 0..MAX_ROUNDS {
            let mut next = FolderLinks::default();
            for (path, target) in &stated {
                let place = all.real(path).unwrap_or_else(|_| (*path).clone());
                next.links.entry(place.as_str().to_owned()).or_insert_with(|| (*target).clone());
            }
            let is_settled = next.links == all.links;
            all = next;
            if is_settled {
                break;
            }
        }
        all
    }

    /// Where `path` really is. Whether it is a link itself does not matter.
    ///
    /// # Errors
    /// No end of links.
    pub fn real(&self, path: &RelPath) -> Result<RelPath, Endless> {
        self.follow(path, Last::Stays)
    }

    /// Where the folder `path` really is: the target, where it is a link itself.
    ///
    /// # Errors
    /// No end of links.
    pub fn real_folder(&self, path: &RelPath) -> Result<RelPath, Endless> {
        self.follow(path, Last::IsFollowed)
    }

    /// The same glob with the folders before its first wildcard as they really are.
    pub fn real_glob(&self, glob: &Glob) -> Glob {
        glob.map_folder(|folder| self.real_folder(folder).unwrap_or_else(|_| folder.clone()))
    }

    fn follow(&self, path: &RelPath, last: Last) -> Result<RelPath, Endless> {
        if self.links.is_empty() {
            return Ok(path.clone());
        }
        // From the root on, as the kernel does: `..` of a target counts from where the link really is.
        let mut at = String::with_capacity(path.as_str().len());
        let mut left: Vec<&str> = path.as_str().rsplit('/').collect();
        let mut followed = 0;
        while let Some(name) = left.pop() {
            match name {
                "" | "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let above = at.len();
            if above > 0 {
                at.push('/');
            }
            at.push_str(name);
            if left.is_empty() && last == Last::Stays {
                break;
            }
            let Some(target) = self.links.get(&at) else { continue };
            followed += 1;
            if followed > MAX_LINKS {
                return Err(Endless { link: RelPath::new(&at).unwrap_or_else(|_| path.clone()) });
            }
            at.truncate(if target.starts_with('/') { 0 } else { above });
            left.extend(target.rsplit('/'));
        }
        RelPath::new(&at).map_err(|_| Endless { link: path.clone() })
    }
}

/// What is done with the last name of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Stays,
    IsFollowed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn links(links: &[(&str, &str)]) -> FolderLinks {
        let mut tree = Tree::new();
        for (at, target) in links {
            tree.insert(path(at), Entry::Symlink { target: (*target).to_owned() }).unwrap();
        }
        FolderLinks::of([&tree])
    }

    #[test]
    fn paths_are_where_the_kernel_would_find_them() {
        let mut deep = Tree::new();
        deep.insert(path("lib/x/up"), Entry::Symlink { target: "../y".to_owned() }).unwrap();
        let mut top = Tree::new();
        for (at, target) in [("lib", "usr/lib"), ("bin", "/usr/bin"), ("usr/bin", "sbin"), ("out", "../../etc")] {
            top.insert(path(at), Entry::Symlink { target: target.to_owned() }).unwrap();
        }
        let links = FolderLinks::of([&deep, &top]);
        for (at, real, folder) in [
            ("lib", "lib", "usr/lib"),
            ("lib/a", "usr/lib/a", "usr/lib/a"),
            ("lib/x/up", "usr/lib/x/up", "usr/lib/y"),
            ("lib/x/up/b", "usr/lib/y/b", "usr/lib/y/b"),
            ("bin/a", "usr/sbin/a", "usr/sbin/a"),
            ("out/passwd", "etc/passwd", "etc/passwd"),
            ("etc/a", "etc/a", "etc/a"),
            ("", "", ""),
        ] {
            assert_eq!(links.real(&path(at)).unwrap().as_str(), real, "{at}");
            assert_eq!(links.real_folder(&path(at)).unwrap().as_str(), folder, "{at}");
        }
    }

    #[test]
    fn links_without_end_are_told() {
        let links = links(&[("a", "a/b"), ("c", "d"), ("d", "c")]);
        assert!(links.real(&path("a/x")).is_err());
        assert!(links.real(&path("c/x")).is_err());
        assert_eq!(links.real(&path("a")).unwrap(), path("a"), "nobody follows it");
    }

    #[test]
    fn a_glob_speaks_of_real_folders() {
        let links = links(&[("lib", "usr/lib")]);
        for (glob, real) in [
            ("/lib/a", "/usr/lib/a"),
            ("/lib/**", "/usr/lib/**"),
            ("/lib/x/*.so", "/usr/lib/x/*.so"),
            ("/lib", "/lib"),
            ("/l*/a", "/l*/a"),
            ("/**", "/**"),
        ] {
            assert_eq!(links.real_glob(&Glob::new(glob).unwrap()).as_str(), real);
        }
    }
}
