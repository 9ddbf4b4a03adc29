//! The one entry: sources become recipes, or every mistake of all of them.

use super::{Diagnostic, Recipes, SourceSet, Wanted};

/// What reading came to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// More must be looked up; then read again.
    Wanted(Wanted),
    /// Everything is right; the diagnostics are warnings.
    Read(Box<Recipes>, Vec<Diagnostic>),
    /// There are mistakes: all of them, warnings too, in the order of files and places.
    Refused(Vec<Diagnostic>),
}

/// Reads everything from the project's `brc.kdl` and the composed file on.
///
/// Called again and again with more in `sources` until it wants nothing more.
pub fn read(sources: &SourceSet) -> Reading {
    let _ = sources;
    Reading::Wanted(Wanted::default())
}
