//! "Did you mean": the known word that is nearest to an unknown one.

/// How many known words are compared with unknown ones while some nodes are read. A project with thousands of names and
/// as many mistakes gets suggestions for the first ones only, and each of the others still its place.
const COMPARISONS: usize = 50_000;

/// What is left of the work that suggestions may cost.
#[derive(Debug, Clone)]
pub(super) struct Patience(usize);

impl Patience {
    pub(super) const fn new() -> Self {
        Patience(COMPARISONS)
    }

    /// As [`nearest`], as long as there is any left.
    pub(super) fn nearest<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        if self.0 == 0 {
            return None;
        }
        let mut compared = 0;
        let found = nearest(word, known.into_iter().inspect(|_| compared += 1));
        self.0 = self.0.saturating_sub(compared);
        found
    }
}

/// The word of `known` that `word` is most likely meant to be, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in three letters; more would suggest words that have nothing in common.
    let most = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        // A letter has at most four bytes.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 4 * most)
        // Letters to insert, delete, replace or swap with a neighbour: optimal string alignment.
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
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

    #[test]
    fn no_more_is_compared_than_there_is_patience_for() {
        let mut patience = Patience(3);
        assert_eq!(patience.nearest("aa", ["ab", "cc"]), Some("ab"));
        assert_eq!(patience.nearest("aa", ["ab", "cc"]), Some("ab"), "whoever is asked is asked to the end");
        assert_eq!(patience.nearest("aa", ["ab", "cc"]), None);
    }
}
