//! The verbs, a file each.

pub mod exec_door;
pub mod health;
pub mod settings;
pub mod status;

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
