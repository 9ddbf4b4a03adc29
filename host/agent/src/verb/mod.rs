//! The verbs, a file each.

pub mod api;
pub mod exec_door;
pub mod health;
pub mod settings;
pub mod status;
pub mod update;

/// What a verb says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// On standard output.
    pub text: String,
    /// On standard error, a line each.
    pub told: Vec<String>,
    /// The exit code.
    pub code: u8,
}

/// It is not so.
pub const NOT_SO: u8 = 1;
/// The command line is wrong; the same for all programs of brc.
pub const USAGE: u8 = 2;
/// The machine cannot.
pub const CANNOT: u8 = 3;

/// Runs a program to its end; why that did not go well.
#[expect(clippy::disallowed_methods, reason = "what the machine can do is done by its own programs")]
fn succeeds(program: &str, words: &[&str]) -> Result<(), String> {
    let failed = |why: String| format!("`{program} {}` {why}", words.join(" "));
    let status = std::process::Command::new(program).args(words).status();
    let status = status.map_err(|error| failed(format!("cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("failed: {status}"))) }
}
