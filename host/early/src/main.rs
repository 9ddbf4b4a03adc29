//! `brc-early`: the first program of a machine whose kernel came as a package. Talks; the library does.

#![expect(clippy::print_stderr, reason = "the program talks to people")]

use std::{
    env,
    ffi::OsString,
    process::{self, ExitCode},
};

use brc_contract::error_chain;
use brc_early::{Failed, Running, boot, what_follows};

/// When the first process ends, the kernel panics, whatever the exit code is.
fn main() -> ExitCode {
    let mut machine = Running::starts();
    let failure = if process::id() == 1 {
        #[expect(clippy::disallowed_methods, reason = "what the kernel gives is for the init of the root")]
        let arguments: Vec<OsString> = env::args_os().skip(1).collect();
        let Failed { error, command_line } = boot(&mut machine, &arguments);
        format!("{}; {}", error_chain(&error), what_follows(&command_line))
    } else {
        "this is the first program of an initramfs; nothing is done, because another one is".to_owned()
    };
    // Who starts it by hand sees it where he is.
    if process::id() != 1 || machine.alert(&failure).is_err() {
        eprintln!("brc-early: {failure}");
    }
    ExitCode::FAILURE
}
