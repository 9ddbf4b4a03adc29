//! Performs `Run`: one command among its inputs, cut off from the host, and what it leaves behind.
//!
//! *Takes* a resolved [`Run`](crate::plan::Run). *Gives* its output trees, in the store. *Promises*: the command
//! sees its inputs, what the version of the kind `Run` stands for, and nothing of the
//! host; no process of it outlives the run; of a component's build nothing outside its outputs and its work is lost
//! without a word; outputs hold no owner, time or attribute of the host. *Does not know* why a command is run, nor
//! keys.
//!
//! What every command finds besides its inputs is part of that: a change of it is a new version.
//!
//! - `/proc` of its own processes and a fixed machine; `/dev` with `null zero full random urandom tty ptmx pts shm`;
//!   `/tmp` and `/run` in memory; no `/sys`; no network but loopback; host name `brc`.
//! - `/etc/passwd`, `/etc/group` and `/etc/hosts`, where its inputs have none.
//! - `PATH`, `HOME`, `TMPDIR`, `TERM`, `SOURCE_DATE_EPOCH` where it does not set them; umask 022; no terminal.
//! - As user 0, the modes of files do not hinder it. Giving a file to somebody else succeeds and does nothing: a
//!   tree's owners come from elsewhere. Up to 200 such attempts stand at the end of the log.
//! - The clock is the host's: no kernel can virtualise it for a user. Outputs keep no times.
//!
//! A run that fetches has the host's network instead, with `/etc/resolv.conf`, `/etc/hosts` and the certificates of
//! trusted authorities from the host, read-only, and the variables of [`NetworkAccess`]. Its output is checked.
//!
//! Not part of it: the job server of GNU make, a FIFO at `/run/brc/jobs` that `MAKEFLAGS` names where the command
//! does not set that variable (make 4.4 or later).

mod access;
mod build_trace;
mod changed;
mod environment;
mod failure;
mod glibc;
mod inputs;
mod log;
mod memory;
mod output;
mod perform;
mod probe;
mod scratch;
mod shell;
mod stdin;
mod stray;
mod watch;

pub mod linux;

pub use access::NetworkAccess;
pub use build_trace::BuildTraceError;
pub use failure::{RunError, Tail};
pub use linux::intercept;
pub use memory::memory_limit;
pub use output::OutputError;
pub use perform::Sandbox;
pub use probe::{Incapable, ProbeError, probe};
pub use scratch::Layering;
pub use shell::Console;
