//! A thing that is there on one side only, or not the same on both.

use std::collections::{BTreeMap, BTreeSet};

/// What is true of an image, by what it is about.
pub type Facts = BTreeMap<String, String>;

/// Something that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What.
    pub what: String,
    /// What it was; none when it was not there.
    pub old: Option<String>,
    /// What it is now; none when it is not there any more.
    pub new: Option<String>,
}

impl Change {
    /// What two sides say of one thing; none when they say the same.
    pub fn of(what: &str, old: Option<&str>, new: Option<&str>) -> Option<Self> {
        let owned = |side: Option<&str>| side.map(str::to_owned);
        (old != new).then(|| Change { what: what.to_owned(), old: owned(old), new: owned(new) })
    }
}

/// What differs between two sets of facts, sorted.
pub fn changes(old: &Facts, new: &Facts) -> Vec<Change> {
    let what: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let side = |facts: &'_ Facts, what: &String| facts.get(what).cloned();
    what.into_iter()
        .filter_map(|what| Change::of(what, side(old, what).as_deref(), side(new, what).as_deref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_on_both_sides_is_no_change() {
        let facts = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let (old, new) = (facts(&[("a", "1"), ("b", "1"), ("c", "1")]), facts(&[("b", "1"), ("c", "2"), ("d", "")]));
        let told: Vec<_> =
            changes(&old, &new).into_iter().map(|change| (change.what, change.old, change.new)).collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("a".to_owned(), some("1"), None),
            ("c".to_owned(), some("1"), some("2")),
            ("d".to_owned(), None, some("")),
        ];
        assert_eq!(told, expected);
        assert_eq!(changes(&old, &old), []);
    }
}
