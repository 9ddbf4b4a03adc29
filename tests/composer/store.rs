//! `brc store`, from outside.

use std::{collections::BTreeMap, fs};

use brc::{
    content::{Digest, Entry, RelPath, Tree},
    store::{Memo, Store},
};

use crate::support::project::brc;

#[test]
fn verify_says_what_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::open(&path).unwrap();
    let key = |name: &str| Digest::of(name.as_bytes());
    let remember = |name: &str| {
        let blob = store.put(name.as_bytes()).unwrap();
        let mut tree = Tree::new();
        let file = Entry::File { blob, size: name.len() as u64, executable: false };
        tree.insert(RelPath::new("file").unwrap(), file).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        store.remember(key(name), &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
        blob
    };
    let (lost, _) = (remember("lost"), remember("torn"));
    fs::remove_file(store.blob_path(lost)).unwrap();
    let memo = key("torn").to_string();
    fs::write(path.join("memo").join(&memo[..2]).join(&memo), "torn").unwrap();
    drop(store);
    let verify = || {
        let ran = brc().args(["store", "verify", "--store"]).arg(&path).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, said) = verify();
    assert_eq!(code, Some(1));
    for part in [format!("`{}`", key("lost")), format!("`{lost}`"), format!("`{memo}`")] {
        assert!(said.contains(&part), "{part} is not in: {said}");
    }
    let (code, said) = verify();
    assert_eq!((code, said.contains("every object is what it was")), (Some(0), true), "{said}");
}
