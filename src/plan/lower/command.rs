//! A command of a plan, as far as all of them are alike.

use std::collections::BTreeMap;

use super::VISIBLE_PROCESSORS;
use crate::{
    content::{FIXED_TIME, RelPath, rel_path},
    graph::Image,
    plan::{Input, Network, Output, Run, Source},
};

/// A command that works in `/build` as root, without network and for the machine that composes; what it leaves is for
/// its user to say.
pub(super) fn command(image: &Image, inputs: Vec<Input<Source>>, words: Vec<String>, seconds: u64) -> Run<Source> {
    Run {
        inputs,
        command: words,
        environment: environment(image).into(),
        directory: rel_path!("build"),
        stdin: None,
        outputs: BTreeMap::new(),
        network: Network::None,
        uid: 0,
        architecture: image.execution,
        processors: VISIBLE_PROCESSORS,
        timeout_seconds: seconds,
        product: None,
    }
}

/// The environment of every command; nothing of the machine's is in it.
pub(super) fn environment(image: &Image) -> BTreeMap<String, String> {
    let variables = [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/build"),
        ("TMPDIR", "/tmp"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("arch", image.architecture.name()),
        ("out", "/out"),
    ];
    let mut environment: BTreeMap<String, String> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    environment.insert("SOURCE_DATE_EPOCH".to_owned(), FIXED_TIME.to_string());
    environment
}

/// One shell for a whole script.
pub(super) fn shell(script: &str) -> Vec<String> {
    ["/usr/bin/sh", "-euc", script].map(str::to_owned).to_vec()
}

pub(super) fn folders<const N: usize>(outputs: [(&str, RelPath); N]) -> BTreeMap<String, Output> {
    outputs.into_iter().map(|(name, at)| (name.to_owned(), Output::Folder(at))).collect()
}
