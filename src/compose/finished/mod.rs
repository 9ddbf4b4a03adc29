//! What only the finished root shows: whether units, users and files are what recipes say of them, and whether the
//! root is as small as they want it. Every finding of all images at once, with the place that says so.

mod account;
mod finding;
mod init;
mod module;
mod privilege;
mod program;
mod root;
mod unit;

use super::{ComposeError, Session, output::goal};
use crate::{build::Built, content::rel_path, graph::Image, plan::ImagePart, store::StoreError};
use finding::Finding;
use root::Root;

/// The file of the goal `erofs`.
const ROOT_IMAGE: &str = "root.erofs";

impl Session<'_> {
    /// Compares the finished roots with what recipes say of them; what is only odd is told.
    ///
    /// # Errors
    /// Everything that is not so, or a store that cannot be read.
    pub(super) fn check_finished(&self, images: &[Image], built: &Built) -> Result<(), ComposeError> {
        let (mut wrong, mut odd): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for image in images {
            let tree = self.store.tree(goal(&image.title(), built, ImagePart::Root)?).map_err(ComposeError::Store)?;
            let root = Root::new(&tree, &self.store);
            let mut found = findings(image, &root).map_err(ComposeError::Store)?;
            let bytes = self.root_bytes(image, built)?;
            if let Some((budget, origin)) = image.layout.budget.as_ref().filter(|(budget, _)| bytes > *budget) {
                let message = format!(
                    "the root of `{}` has {bytes} bytes, its budget is {budget}: drop files, or raise the budget",
                    image.title()
                );
                found.push(Finding::wrong(origin, message));
            }
            for finding in found {
                match finding {
                    Finding::Wrong(text) if !wrong.contains(&text) => wrong.push(text),
                    Finding::Odd(text) if !odd.contains(&text) => odd.push(text),
                    _ => {}
                }
            }
        }
        odd.iter().for_each(|text| (self.status)(&format!("warning: {text}")));
        if wrong.is_empty() { Ok(()) } else { Err(ComposeError::NotAsStated { findings: wrong }) }
    }

    /// The size of an image's root in bytes.
    pub(super) fn root_bytes(&self, image: &Image, built: &Built) -> Result<u64, ComposeError> {
        let path = rel_path!(ROOT_IMAGE);
        let file = self.store.file_in(goal(&image.title(), built, ImagePart::RootImage)?, &path);
        file.map(|(_, size)| size).map_err(ComposeError::Store)
    }
}

fn findings(image: &Image, root: &Root<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut found = unit::findings(&image.stated.units, root)?;
    found.extend(account::findings(&image.stated.accounts, &image.users, root)?);
    found.extend(module::findings(&image.stated.modules, root)?);
    found.extend(privilege::findings(&image.title(), &image.stated.setuid, root));
    found.extend(program::findings(&image.stated.programs, root));
    found.extend(init::finding(&image.title(), &image.kernel.source, root));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        content::{Digest, Entry, Metadata, RelPath, Tree},
        plan::Goal,
        store::Store,
    };

    /// A store and a root with these files: path, mode, text; `-> …` is a link.
    pub(super) struct World {
        store: Store,
        tree: Tree,
        _folder: tempfile::TempDir,
    }

    impl World {
        pub(super) fn new(files: &[(&str, u16, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let mut tree = Tree::new();
            for (path, mode, text) in files {
                let entry = match text.strip_prefix("-> ") {
                    Some(target) => Entry::Symlink { target: target.to_owned() },
                    None => {
                        let blob = store.put(text.as_bytes()).unwrap();
                        Entry::File { blob, size: text.len() as u64, executable: mode & 0o111 != 0 }
                    }
                };
                let metadata = match entry {
                    Entry::Symlink { .. } => entry.plain_metadata(),
                    _ => Metadata::with_mode(*mode),
                };
                tree.insert_with(RelPath::from_absolute(path).unwrap(), entry, metadata).unwrap();
            }
            World { store, tree, _folder: folder }
        }

        pub(super) fn root(&self) -> Root<'_> {
            Root::new(&self.tree, &self.store)
        }
    }

    #[test]
    fn a_root_that_was_not_built_is_not_within_its_budget() {
        let tree = Digest::of(b"root");
        let built = Built {
            goals: BTreeMap::from([(Goal::of_image("v x86_64", ImagePart::RootImage), tree)]),
            keys: BTreeSet::new(),
        };
        assert_eq!(goal("v x86_64", &built, ImagePart::RootImage).unwrap(), tree);
        let missing = goal("v aarch64", &built, ImagePart::RootImage);
        assert!(matches!(missing, Err(ComposeError::NoGoal { goal }) if goal.to_string() == "v aarch64 root image"));
    }

    #[test]
    fn links_are_followed_to_where_they_lead_and_circles_lead_nowhere() {
        let world = World::new(&[
            ("/usr/bin/bash", 0o755, "x"),
            ("/bin", 0, "-> usr/bin"),
            ("/usr/bin/sh", 0, "-> /bin/bash"),
            ("/usr/lib/up", 0, "-> ../bin/../bin/sh"),
            ("/a", 0, "-> b"),
            ("/b", 0, "-> a"),
        ]);
        let real = |path: &str| {
            let real = world.root().real(&RelPath::from_absolute(path).unwrap());
            real.map(|path| path.to_string())
        };
        for path in ["/usr/bin/bash", "/bin/bash", "/bin/sh", "/usr/lib/up"] {
            assert_eq!(real(path).as_deref(), Some("/usr/bin/bash"), "{path}");
        }
        assert_eq!((real("/a"), real("/bin/none")), (None, None));
    }
}
