//! Name spaces, mounts, seccomp and limits, in a re-executed child that has one thread.
//!
//! *Takes* a [`Spec`] and three streams. *Gives* a running [`Child`]. *Promises*: the command sees what the spec
//! shows and nothing else of the host; whatever happens to us, nothing of it runs on after us. *Does not know*
//! stores, plans or why something runs. The only room with `unsafe`, all of it in `syscall.rs` and `stream.rs`.

mod child;
mod filter;
mod machine;
mod mount;
mod network;
mod rights;
mod spawn;
mod spec;
#[expect(unsafe_code, reason = "it must run before the run-time does, and only asks")]
mod stream;
mod supervisor;
#[expect(unsafe_code, reason = "the kernel calls that no safe crate has; each is behind a safe function")]
mod syscall;
mod wait;
mod wire;

pub use rights::has_scopes;
pub use spawn::{Child, Ended, SpawnError, Status, Streams, Waited, intercept, spawn};
pub use spec::{Access, Bind, Network, Root, Spec, Terminal, View};
pub use stream::output_was_closed;
pub use wire::Stage;
