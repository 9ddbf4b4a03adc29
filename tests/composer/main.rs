//! `brc` from outside: what it fetches, builds and says, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may stop at the first thing that is wrong, and its table has as many lines as cases"
)]

#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "suite-vm")]
mod ami;
#[cfg(feature = "suite-vm")]
mod ami_asker;
#[cfg(feature = "suite-vm")]
mod ami_kubernetes;
#[cfg(feature = "suite-vm")]
mod ami_target;
#[cfg(feature = "suite-vm")]
mod ami_trial;
mod artifact;
mod attack;
#[cfg(feature = "suite-vm")]
mod browser;
mod check;
mod command_line;
mod compare;
mod doctor;
mod download;
mod elsewhere;
mod execution;
mod from_source;
mod host;
mod inventory;
mod kernel;
mod living;
mod locking;
mod oracle;
mod paths;
mod refusal;
mod repository;
mod room;
mod sandbox;
mod sealed;
mod set_lock;
mod signing;
mod stated;
mod store;
mod surroundings;
mod unpack;
mod upstream;
