//! Texts of which a recipe has one of a few.

use super::{Code, Spanned, decode::Reader, suggestion::nearest};

impl Reader<'_> {
    /// What a text stands for among `known`; reports one that is none of them.
    pub(super) fn choice<T: Copy>(
        &mut self,
        text: &Spanned<String>,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let found = known.iter().find(|(name, _)| *name == text.as_str()).map(|(_, meant)| *meant);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.one_of(text, what, &names);
        }
        found.map(|meant| Spanned::new(meant, text.span))
    }

    /// Reports a text that is none of `known`.
    pub(super) fn one_of(&mut self, text: &Spanned<String>, what: &str, known: &[&str]) {
        let all = || format!("there is `{}`", known.join("`, `"));
        let help = nearest(text, known.iter().copied()).map_or_else(all, |meant| format!("did you mean `{meant}`?"));
        self.error(Code::BadValue, text.span, format!("`{}` is not {what}", text.value), help);
    }
}
