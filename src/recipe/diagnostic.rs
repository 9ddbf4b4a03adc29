//! A mistake in a recipe, as data.

use super::{SourceSet, Span};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing can be composed.
    Error,
    /// Something is probably not meant so.
    Warning,
}

/// One finding: what is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// What kind of mistake, in kebab case: `unknown-node`. Stable; tools may rely on it.
    pub code: &'static str,
    /// One sentence without a full stop at its end.
    pub message: String,
    /// Where; the first one is the place, others explain.
    pub labels: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
}

/// A place and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        let labels = vec![Label { span, text: String::new() }];
        Diagnostic { severity: Severity::Error, code, message: message.into(), labels, help: None }
    }

    /// A warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says something at the place itself.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Points at one more place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Where it is: the first label.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

/// The finding as one line: `error: FILE:LINE:COL: message; help [code]`.
pub fn one_line(sources: &SourceSet, diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = diagnostic.span().map_or_else(String::new, |span| {
        let (line, column) = line_and_column(sources, span);
        format!("{}:{line}:{column}: ", sources.path(span.file))
    });
    let help = diagnostic.help.as_deref().map_or_else(String::new, |help| format!("; {help}"));
    format!("{severity}: {place}{}{help} [{}]", diagnostic.message, diagnostic.code)
}

/// The line and column at which a span starts, both from 1; a column is a character, not a byte.
pub fn line_and_column(sources: &SourceSet, span: Span) -> (usize, usize) {
    let text = sources.text(span.file);
    let mut start = text.len().min(span.start as usize);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let (line, begin) = sources.line(span.file, start);
    (line, text.get(begin..start).unwrap_or("").chars().count() + 1)
}
