//! brc composes bootable, verified, reproducible disk images from KDL recipes. See ARCHITECTURE.md.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start processes, wait and look at the clock"))]

pub mod artifact;
pub mod build;
pub mod cli;
pub mod compose;
pub mod content;
pub mod fetch;
pub mod graph;
pub mod image;
pub mod inspect;
pub mod lock;
pub mod plan;
pub mod publish;
pub mod recipe;
pub mod release;
pub mod sandbox;
pub mod store;
pub mod vm;
