//! Where something is written, for people.

use crate::recipe::{SourceSet, Span, line_and_column};

/// `FILE:LINE` of a span.
pub fn origin(sources: &SourceSet, span: Span) -> String {
    format!("{}:{}", sources.path(span.file), line_and_column(sources, span).0)
}
