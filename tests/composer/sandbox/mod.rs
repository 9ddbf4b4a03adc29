//! What a sandbox promises, one test per promise, on real sandboxes.
//!
//! Their root is made from the shell and a few programs of this machine.

pub mod bench;
mod cut_off;
mod end;
mod fetching;
mod machine;
mod output;
mod product;
mod shell;
mod spec;
mod syscall;
