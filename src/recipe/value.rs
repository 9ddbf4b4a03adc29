//! Values that many nodes state.

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Written `#true`.
    On,
    /// Written `#false`.
    Off,
}

/// Where an override comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A recipe.
    Recipe,
    /// A developer's own: `brc.local.kdl`, not committed.
    Local,
}
