//! How a test ended.

use std::process::ExitCode;

use super::bench::Failed;
use crate::cli::{
    context::Context,
    json::Event,
    output::{print_event, status},
};

/// The exit code of what did not go as it should.
const FAILED: u8 = 1;
/// The exit code of what was stopped by Ctrl-C, as shells have it.
const STOPPED: u8 = 130;

/// Says how it ended; the exit code for it.
pub fn report(context: &Context, ended: Result<(), (Failed, Vec<String>)>) -> ExitCode {
    let (message, last, code) = match ended {
        Ok(()) => (None, Vec::new(), ExitCode::SUCCESS),
        Err((Failed::Cancelled, _)) => return ExitCode::from(STOPPED),
        Err((Failed::Not(message), last)) => (Some(message), last, ExitCode::from(FAILED)),
    };
    if context.is_json() {
        print_event(Event::TestEnded { failure: message, last });
        return code;
    }
    match message {
        None => status("good"),
        Some(message) => {
            status(&format!("error: {message}; the machine's last lines:"));
            last.iter().for_each(|line| status(&format!("  {line}")));
        }
    }
    code
}
