//! Pinning under way. What a component is built from is pinned in `upstream.rs`, what is fetched for it in `fetched.rs`,
//! all else in `pin.rs`.

use super::flat::{Flat, Manifests};
use crate::{
    lock::Lock,
    recipe::{Diagnostic, SourceSet},
};

/// A flat variant, what pins it, and what is found wrong on the way.
pub(super) struct Pinning<'a> {
    pub(super) flat: &'a Flat,
    pub(super) lock: &'a Lock,
    pub(super) sources: &'a SourceSet,
    pub(super) manifests: &'a Manifests,
    pub(super) diagnostics: Vec<Diagnostic>,
}
