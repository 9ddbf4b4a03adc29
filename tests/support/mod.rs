//! Archives and servers that tests start on loopback.

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
