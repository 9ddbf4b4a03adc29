//! "Did you mean": the known word that is nearest to an unknown one.

/// The word of `known` that `word` is most likely meant to be, if one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in three letters; more would suggest words that have nothing in common.
    let most = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 2 * most)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, delete, replace or swap with a neighbour (optimal string alignment).
///
/// Every row has one place more than `right` has letters, so indexing by the place of a letter or the next one
/// cannot fail.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (line, letter) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != *other);
            let mut best = replaced.min(row[column + 1] + 1).min(next[column] + 1);
            if column > 0 && last == Some(*other) && right[column - 1] == letter {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        last = Some(letter);
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let known = ["version", "license", "upstream", "install", "needs"];
        for (word, suggestion) in [
            ("verison", Some("version")),
            ("licence", Some("license")),
            ("instal", Some("install")),
            ("need", Some("needs")),
            ("x", None),
            ("provides", None),
        ] {
            assert_eq!(nearest(word, known), suggestion, "{word}");
        }
    }
}
