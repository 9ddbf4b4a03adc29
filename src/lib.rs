//! brc composes bootable, verified, reproducible disk images from KDL recipes. See ARCHITECTURE.md.

pub mod artifact;
pub mod build;
pub mod cli;
pub mod compose;
pub mod content;
pub mod fetch;
pub mod graph;
pub mod image;
pub mod lock;
pub mod plan;
pub mod recipe;
pub mod sandbox;
pub mod store;
