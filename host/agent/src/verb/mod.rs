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
fn ends_well<S: AsRef<str>>(words: &[S]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(S::as_ref).collect();
    let Some((program, more)) = words.split_first() else { return Err("there is no program".to_owned()) };
    let ended = std::process::Command::new(program).args(more).stdin(std::process::Stdio::null()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", words.join(" "))),
        Err(error) => Err(format!("`{program}` cannot be started: {error}")),
    }
}
