//! What `brc test` tells of an image.

use serde_json::Value;

use super::{
    bench::{self, BENCH, brc, folder, must},
    project,
};

const RECIPES: &str = r#"
variant "fleet" {
    version "1.10.0"
    extends "brc/base"
    arch "x86_64"
    include "brc/updates" "brc/network"
}
"#;

/// Each way in which a version can be broken, and what must have been told at its end.
const BREAKAGES: [(&str, &[&str]); 12] = [
    ("root-corrupt", &["1.10.0 is back by itself; 1.11.0:", "1.11.0 is not taken again"]),
    ("kernel-panic", &["1.10.0 is back by itself; 1.11.0:", "1.11.0 is not taken again"]),
    ("hang", &["1.10.0 is back by itself; 1.11.0:", "1.11.0 is not taken again"]),
    ("unit-failure", &["1.10.0 is back by itself; 1.11.0: brc-break.service failed", "1.11.0 is not taken again"]),
    ("health-timeout", &["1.11.0: brc-break.service did not come up in time", "1.11.0 is not taken again"]),
    ("blessed-then-broken", &["1.11.0 is healthy", "1.10.0 is back by itself; 1.11.0:", "1.11.0 is not taken again"]),
    ("esp-truncated", &["1.10.0 is back by itself; 1.11.0: its kernel image", "1.11.0 is not taken again"]),
    ("esp-full", &["refused: ", "1.10.0 runs as before", "1.11.0 is written and read back"]),
    ("esp-read-only", &["refused: ", "1.10.0 runs as before", "1.11.0 is written and read back"]),
    ("gpt-torn", &["1.11.0 is healthy", "the partition table is whole"]),
    ("clock=2040", &["refused: ", "the clock is right again", "1.11.0 is healthy"]),
    ("power-cut=3", &["3 of 3 came up"]),
];
/// Power cuts of the third tier.
const MANY_CUTS: (&str, &[&str]) = ("power-cut=100", &["100 of 100 came up"]);

#[test]
fn a_machine_comes_back_from_every_way_in_which_its_update_is_broken() {
    let folder = folder("story");
    bench::project(&folder, "fleet", RECIPES);
    let (recipe, out) = (folder.join("fleet.kdl"), folder.join("out"));
    let [old, new] = ["1.10.0", "1.11.0"].map(|version| {
        must(&["compose", recipe.to_str().unwrap(), "--image-version", version, "--out", out.to_str().unwrap()]);
        out.join(format!("fleet_{version}_x86_64.raw")).to_str().unwrap().to_owned()
    });
    let many = cfg!(feature = "suite-full").then_some(MANY_CUTS);
    let mut wrong = Vec::new();
    for (breakage, expected) in BREAKAGES.into_iter().chain(many) {
        let limit = if many.is_some_and(|(many, _)| many == breakage) { "36000" } else { "3600" };
        let printed = brc(&["test", "rollback", &old, &new, "--break", breakage, "--timeout", limit]);
        let told = String::from_utf8_lossy(&printed.stderr).into_owned();
        println!("--- {breakage}\n{told}");
        let is_told = expected.iter().all(|step| told.contains(step));
        if printed.status.code() != Some(0) || !is_told {
            wrong.push(breakage);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn an_image_that_boots_well_is_told_step_by_step() {
    let image = BENCH.image.to_str().unwrap();
    let printed = brc(&["test", "boot", image, "--json"]);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert_eq!(printed.status.code(), Some(0), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<&str> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    let expected =
        ["the machine starts", "0.1.0 is healthy, its root verified", "no unit failed, none waits in a circle"];
    assert_eq!(steps, expected);
    assert_eq!(lines.last().unwrap()["failure"], Value::Null);
}

#[test]
fn an_image_that_is_not_healthy_in_time_fails_with_the_machines_last_lines() {
    let image = BENCH.image.to_str().unwrap();
    let printed = project::brc().args(["test", "boot", image, "--timeout", "5"]).output().unwrap();
    let told = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert_eq!(printed.status.code(), Some(1), "{told}");
    assert!(told.contains("error: 5 s went by before it was found healthy; the machine's last lines:"), "{told}");
}
