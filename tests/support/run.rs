//! Runs of the sandbox as tests make them.

use std::collections::BTreeMap;

use brc::{
    content::{Digest, RelPath},
    plan::{Network, Run},
};
use brc_contract::Architecture;

pub fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

/// A run of nothing but a command, on this machine; a test says what else it has.
pub fn run(command: &[&str]) -> Run<Digest> {
    Run {
        inputs: Vec::new(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        environment: BTreeMap::new().into(),
        directory: path("build"),
        stdin: None,
        outputs: BTreeMap::new(),
        network: Network::None,
        uid: 0,
        architecture: Architecture::of_this_program(),
        processors: 8,
        timeout_seconds: 600,
        product: None,
    }
}
