//! The door through which whoever started this virtual machine looks inside.
//!
//! *Takes* what comes in at the port, as `brc_contract::door` has it. *Gives* programs that run, and copies of files and
//! folders. *Promises*: nothing is done before the other end has said the number back that was drawn for this start; a
//! session that nobody reads holds up no other one and keeps no more than its window; who goes away has what was started
//! for them killed, with all of its process group. *Does not know* whether the door may be open: [`may_open`] is asked first.

mod lock;
mod pipe;
mod program;
mod serve;
mod session;

pub use lock::{Closed, may_open};
pub use serve::{serve, serve_program};
