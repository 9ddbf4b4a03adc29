//! Archives and servers that tests start on loopback.

#[allow(dead_code, reason = "shared with the tests of `lock`, which use all of it")]
pub mod archive;
pub mod package;
pub mod project;
pub mod server;

/// An error with all its causes, as a person reads it.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
