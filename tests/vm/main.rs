//! Images that boot: the quickstart as it is published, byte for byte, in `brc boot`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may stop at the first thing that is wrong"
)]

#[cfg(feature = "suite-vm")]
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/oci.rs"]
mod oci;
#[path = "../support/package.rs"]
#[allow(dead_code, reason = "of the archives that tests make only one kind is needed here")]
mod package;
#[path = "../support/project.rs"]
#[allow(dead_code, reason = "images are composed here by a bench of their own")]
mod project;
#[cfg(feature = "suite-vm")]
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/run.rs"]
mod run;

#[cfg(feature = "suite-vm")]
mod api;
mod bench;
#[cfg(feature = "suite-vm")]
mod data_disk;
#[cfg(feature = "suite-vm")]
mod door;
#[cfg(feature = "suite-vm")]
mod ebpf;
#[cfg(feature = "suite-vm")]
mod figures;
mod from_source;
#[cfg(feature = "suite-vm")]
mod hardened;
#[cfg(feature = "suite-vm")]
mod initramfs;
#[cfg(feature = "suite-vm")]
mod kubernetes;
#[cfg(feature = "suite-vm")]
mod module;
mod quickstart;
#[cfg(feature = "suite-vm")]
mod sealed;
#[cfg(feature = "suite-vm")]
mod settings;
#[cfg(feature = "suite-vm")]
mod story;
#[cfg(feature = "suite-vm")]
mod tampering;
#[cfg(feature = "suite-vm")]
mod update;
