//! Trees that a locked program fetches: what the lock is asked, and what it keeps.

use super::*;
use crate::content::{Digest, RelPath};

fn tree(component: &str, question: &str) -> WantedTree {
    WantedTree {
        component: component.to_owned(),
        kind: TreeKind::Crates,
        question: Digest::of(question.as_bytes()),
        source: None,
        origin: "test.kdl:7".to_owned(),
    }
}

fn told(lock: &Lock, wanted: &Wanted) -> Vec<String> {
    lock.missing(wanted).iter().map(ToString::to_string).collect()
}

/// Locks without any file, and enters a tree for everything that is missing, as `compose` does.
fn lock(wanted: &Wanted, old: &Lock, goal: Goal) -> (Lock, usize) {
    let (mut lock, _) = Locking::new(wanted.clone(), old.clone(), goal, NOW).finish().unwrap();
    let kept = lock.trees.len();
    for tree in &wanted.trees {
        let id = tree.id(&lock);
        lock.trees.entry(id).or_insert(Digest::of(b"fetched"));
    }
    (lock, kept)
}

#[test]
fn a_tree_stays_as_long_as_its_question_does() {
    let before = Wanted { trees: vec![tree("brc/a", "1"), tree("b", "1")], ..Wanted::default() };
    let (old, kept) = lock(&before, &Lock::default(), Goal::Complete);
    assert_eq!((kept, told(&old, &before)), (0, vec![]));
    let after = Wanted { trees: vec![tree("brc/a", "2"), tree("b", "1"), tree("c", "1")], ..Wanted::default() };
    assert_eq!(
        told(&old, &after),
        [
            "test.kdl:7: the tree `crates` of `brc/a` is locked as it was before its source changed",
            "test.kdl:7: the tree `crates` of `c` is not locked",
        ]
    );
    let (new, kept) = lock(&after, &old, Goal::Complete);
    assert_eq!((kept, new.trees.len()), (1, 3), "what nobody asks for any more is gone");
}

#[test]
fn an_update_moves_the_trees_of_the_components_that_it_names() {
    let wanted = Wanted { trees: vec![tree("brc/a", "1"), tree("b", "1")], ..Wanted::default() };
    let (old, _) = lock(&wanted, &Lock::default(), Goal::Complete);
    for (name, kept) in [("a", 1), ("brc/a", 1), ("b", 1)] {
        let goal = Goal::Update([name.to_owned()].into());
        assert_eq!(lock(&wanted, &old, goal).1, kept, "{name}");
    }
    assert_eq!(lock(&wanted, &old, Goal::Update([].into())).1, 2, "versions move, and what a lock file names does not");
}

#[test]
fn another_version_of_the_source_package_is_another_question() {
    let id = SourceId { name: "s".into(), archive: "debian".into(), suite: "trixie".into(), version: None };
    let wanted = WantedTree { source: Some(id.clone()), ..tree("a", "1") };
    let locked = |content: &[u8]| {
        let file = LockedSourceFile { size: 1, sha256: crate::content::Sha256::of(content), at: RelPath::ROOT };
        let source = LockedSource {
            version: "1".into(),
            suite: "trixie".into(),
            mirror: "debian".into(),
            files: [("pool/s_1.tar.xz".to_owned(), file)].into(),
        };
        Lock { sources: [(id.clone(), source)].into(), ..Lock::default() }
    };
    assert_eq!(wanted.id(&locked(b"1")), wanted.id(&locked(b"1")));
    assert_ne!(wanted.id(&locked(b"1")), wanted.id(&locked(b"2")));
}
