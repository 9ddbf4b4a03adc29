//! Whether standard output was open when the program began.
//!
//! Before `main` Rust's run-time opens `/dev/null` in the place of a standard stream that is closed, so that no other
//! file gets its number. What is written then goes nowhere and nobody is told; so we look before that.

use std::sync::atomic::{AtomicBool, Ordering};

static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// The C library calls what stands in this section before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: the call only asks for the flags of a number that may be no open file, and changes nothing.
    let flags = unsafe { libc::fcntl(1, libc::F_GETFD) };
    OUTPUT_WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Whether standard output was closed when the program began.
pub fn output_was_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}
