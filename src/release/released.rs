//! An image that is asked about.

use std::collections::BTreeMap;

use crate::{artifact::Manifest, inspect::Contents};

/// An image, as its manifest and its own bytes say it.
#[derive(Debug, Clone, Copy)]
pub struct Released<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What is in it.
    pub contents: &'a Contents,
    /// The options of its kernel, where its recipe is known.
    pub options: Option<&'a BTreeMap<String, String>>,
}

/// Which image it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The variant's name.
    pub image: String,
    /// The image's version.
    pub version: String,
    /// The architecture's name.
    pub architecture: String,
}

/// How large a partition is and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its size in bytes.
    pub bytes: u64,
    /// How many of them are used.
    pub used: u64,
}

impl Released<'_> {
    /// Which image it is.
    pub fn label(&self) -> Label {
        let Manifest { image, version, architecture, .. } = self.manifest;
        Label { image: image.clone(), version: version.clone(), architecture: architecture.clone() }
    }
}
