//! Roots: the actions that the last compose of a project needed, so that garbage collection keeps what they gave.
//!
//! A record `brc-roots 1` in `roots`, named by the digest of project and variant, with the lines `project PATH`,
//! `variant NAME`, and one key per line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Store, StoreError,
    name::{file_name, path_word, word_path},
    shard::list,
};
use crate::content::Digest;

const FIRST_LINE: &str = "brc-roots 1";

/// What one compose needed.
#[derive(Debug)]
pub(super) struct Root {
    pub path: PathBuf,
    pub project: PathBuf,
    /// The variant's name as [`file_name`] writes it.
    pub variant: String,
    pub keys: BTreeSet<Digest>,
}

impl Store {
    /// Keeps what the actions with these keys gave, until the same project and variant say otherwise or the
    /// project's folder is gone.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn keep(&self, project: &Path, variant: &str, keys: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let project = project.canonicalize().map_err(|source| StoreError::io("find", project, source))?;
        let (project, variant) = (path_word(&project), file_name(variant));
        let mut lines = format!("project {project}\nvariant {variant}\n");
        keys.iter().for_each(|key| lines.push_str(&format!("{key}\n")));
        let name = Digest::of(format!("{project} {variant}").as_bytes());
        self.write_record(&self.dir().join("roots").join(name.to_string()), FIRST_LINE, &lines)
    }

    /// The folders of the projects that composed a variant of this name, the last one first. A name without the set
    /// that it belongs to (`quickstart` for `shop/quickstart`) stands for that of any set.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn projects(&self, variant: &str) -> Result<Vec<PathBuf>, StoreError> {
        let variant = file_name(variant);
        let of_any_set = format!("{}{variant}", file_name("/"));
        let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let roots =
            self.roots()?.into_iter().filter(|root| root.variant == variant || root.variant.ends_with(&of_any_set));
        let mut found: Vec<_> = roots.map(|root| (time(&root.path), root.project)).collect();
        found.sort_by(|a, b| b.cmp(a));
        Ok(found.into_iter().map(|(_, project)| project).collect())
    }

    /// Every root. A broken one protects nothing.
    pub(super) fn roots(&self) -> Result<Vec<Root>, StoreError> {
        let mut roots = Vec::new();
        for path in list(self.dir().join("roots"))? {
            let lines = self.read_record(&path, FIRST_LINE)?;
            roots.extend(lines.and_then(|lines| decode(path, &lines)));
        }
        Ok(roots)
    }
}

fn decode(path: PathBuf, lines: &str) -> Option<Root> {
    let mut lines = lines.lines();
    let project = word_path(lines.next()?.strip_prefix("project ")?)?;
    let variant = lines.next()?.strip_prefix("variant ")?.to_owned();
    let keys = lines.map(|line| Digest::parse(line).ok()).collect::<Option<BTreeSet<Digest>>>()?;
    Some(Root { path, project, variant, keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_compose_of_each_variant_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let project = dir.path().join("my project");
        std::fs::create_dir(&project).unwrap();
        let keys = |text: &str| BTreeSet::from([Digest::of(text.as_bytes())]);
        store.keep(&project, "a", &keys("1")).unwrap();
        store.keep(&project, "a", &keys("2")).unwrap();
        store.keep(&project, "b/c", &keys("3")).unwrap();
        let roots = store.roots().unwrap();
        assert_eq!(roots.len(), 2);
        assert!(roots.iter().all(|root| root.project == project.canonicalize().unwrap()));
        let all: BTreeSet<Digest> = roots.into_iter().flat_map(|root| root.keys).collect();
        assert_eq!(all, BTreeSet::from([Digest::of(b"2"), Digest::of(b"3")]));
    }

    #[test]
    fn the_projects_of_a_variant_are_found_the_last_one_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let projects = ["one", "two", "three"].map(|name| dir.path().canonicalize().unwrap().join(name));
        for (age, project) in [20, 30, 10].into_iter().zip(&projects) {
            std::fs::create_dir(project).unwrap();
            let before = store.roots().unwrap().len();
            store.keep(project, "a/b", &BTreeSet::new()).unwrap();
            let roots = store.roots().unwrap();
            assert_eq!(roots.len(), before + 1);
            let record = roots.iter().find(|root| root.project == *project).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age);
            std::fs::File::open(&record.path).unwrap().set_modified(time).unwrap();
        }
        store.keep(&projects[0], "other", &BTreeSet::new()).unwrap();
        let [one, two, three] = projects;
        let found = [three, one, two];
        assert_eq!(store.projects("a/b").unwrap(), found);
        assert_eq!(store.projects("b").unwrap(), found);
        assert!(store.projects("a").unwrap().is_empty());
    }
}
