//! What is found out about a finished root.

/// Something that a recipe says and the root is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finding {
    /// The image is not what was asked for: none is written.
    Wrong(String),
    /// It is probably not meant so.
    Odd(String),
}

impl Finding {
    pub(super) fn wrong(origin: &str, message: impl std::fmt::Display) -> Self {
        Finding::Wrong(format!("{origin}: {message}"))
    }

    pub(super) fn odd(origin: &str, message: impl std::fmt::Display) -> Self {
        Finding::Odd(format!("{origin}: {message}"))
    }
}
