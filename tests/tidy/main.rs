//! The rules of the house that the compiler cannot check. Each test names the rule; a failure lists every place.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test may stop where it stands")]

mod circles;
mod code;
mod paper;
mod reference;
mod rooms;
mod settings;
mod source;
mod sysctl;

use std::path::Path;

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with every sentence in `broken`, under the rule that they break.
#[track_caller]
fn holds(rule: &str, mut broken: Vec<String>) {
    broken.sort();
    broken.dedup();
    assert!(broken.is_empty(), "\n{rule}\n  {}\n", broken.join("\n  "));
}
