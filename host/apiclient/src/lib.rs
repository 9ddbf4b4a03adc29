//! What `apiclient` does, apart from talking.
//!
//! *Takes* a command line in the words of Bottlerocket's program of that name. *Gives* what is asked for, and the answers of
//! the machine. *Promises*: one connection for each request, and a limit on what comes back; only [`ask`], [`upgrade`] and
//! [`run`] touch the machine. *Does not know* standard output or exit codes: those are the program's.

mod exec;
mod order;
mod request;

pub use exec::{Outputs, run};
pub use order::{Asked, Order, read};
pub use request::{AskError, ask, upgrade};
