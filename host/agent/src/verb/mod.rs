//! The verbs, a file each.

pub mod settings;
pub mod status;

/// What a verb says on standard output, and its exit code.
pub type Said = (String, u8);

/// The exit codes; 2, the command line is wrong, is the same for all programs of brc.
pub const NOT_SO: u8 = 1;
pub const USAGE: u8 = 2;
pub const CANNOT: u8 = 3;
