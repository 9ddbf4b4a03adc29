//! What `brc test` tells of an image.

use serde_json::Value;

use super::{
    bench::{BENCH, brc},
    project,
};

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
