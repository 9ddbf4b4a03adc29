//! The variables and small files that every command finds.

use std::{collections::BTreeMap, path::Path};

use crate::{
    content::{FIXED_TIME, RelPath},
    plan::Run,
};

/// Where the job server of GNU make lies inside.
pub(super) const JOB_SERVER: &str = "run/brc/jobs";

/// What is set where a run does not set it.
const DEFAULTS: [(&str, &str); 4] = [
    ("HOME", "/tmp"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("TERM", "dumb"),
    ("TMPDIR", "/tmp"),
];

/// The whole environment of a run.
pub(super) fn variables<T>(run: &Run<T>, job_server: Option<&Path>) -> BTreeMap<String, String> {
    let mut variables = (*run.environment).clone();
    let mut default = |name: &str, value: String| {
        variables.entry(name.to_owned()).or_insert(value);
    };
    for (name, value) in DEFAULTS {
        default(name, value.to_owned());
    }
    default("SOURCE_DATE_EPOCH", FIXED_TIME.to_string());
    if job_server.is_some() {
        default("MAKEFLAGS", format!(" -j{} --jobserver-auth=fifo:/{JOB_SERVER}", run.processors));
    }
    variables
}

/// The time that a run is shown, in seconds since 1970.
pub(super) fn clock<T>(run: &Run<T>) -> u64 {
    let stated = run.environment.get("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok());
    stated.unwrap_or(FIXED_TIME)
}

/// The folder that a run's `HOME` names, for what programs keep beside their work; not one in memory.
pub(super) fn home<T>(run: &Run<T>) -> Option<RelPath> {
    let home = run.environment.get("HOME").and_then(|home| RelPath::from_absolute(home).ok());
    home.filter(|home| !home.is_root() && !home.as_str().starts_with("tmp"))
}

/// The files that are there where no input brings them, by path.
pub(super) fn files(uid: u32) -> Vec<(&'static str, String)> {
    let mut users = "root:x:0:0:root:/root:/bin/sh\n".to_owned();
    let mut groups = "root:x:0:\n".to_owned();
    if uid != 0 && uid != 65_534 {
        users += &format!("build:x:{uid}:{uid}:build:/tmp:/bin/sh\n");
        groups += &format!("build:x:{uid}:\n");
    }
    users += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    groups += "nogroup:x:65534:\n";
    vec![
        ("etc/passwd", users),
        ("etc/group", groups),
        ("etc/hosts", "127.0.0.1 localhost brc\n::1 localhost\n".to_owned()),
    ]
}
