//! How runs end: by themselves, too late, stopped, or with the program that started them.

use std::{
    fs,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use brc::plan::Fault;

use super::bench::{Bench, chain};
use crate::support::process::{nap, sleepers, wait_until};

#[test]
fn a_failure_tells_status_last_lines_and_log_and_keeps_the_files() {
    let bench = Bench::new();
    let script = "i=0; while test $i -lt 30; do echo line $i; i=$((i+1)); done; echo left > /build/left; exit 3";
    let failure = bench.perform(&bench.script(script)).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    let text = failure.error.to_string();
    assert!(text.starts_with("`/bin/sh` exited with 3"), "{text}");
    assert!(text.contains("| line 29") && text.contains("| line 10") && !text.contains("| line 9\n"), "{text}");
    assert!(text.contains(&bench.log().display().to_string()), "{text}");
    let kept = bench.sandbox().kept(&bench.log());
    assert_eq!(fs::read_to_string(kept.join("upper/build/left")).unwrap(), "left\n");
    assert!(bench.lines.lock().unwrap().contains(&"line 29".to_owned()));
    // The next run of the same action begins anew.
    bench.prints("test ! -e left");
    assert!(!kept.exists());
}

#[test]
fn a_signal_is_told() {
    let bench = Bench::new();
    let failure = bench.perform(&bench.script("kill -ABRT $$")).unwrap_err();
    assert!(failure.error.to_string().starts_with("`/bin/sh` was ended by signal 6"), "{}", chain(&failure));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let bench = Bench::new();
    let mut run = bench.script("");
    run.command = vec!["/bin/nothing".into()];
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(chain(&failure).contains("could not execute `/bin/nothing`"), "{}", chain(&failure));
}

#[test]
fn what_a_command_leaves_running_is_killed() {
    let bench = Bench::new();
    let started = Instant::now();
    let nap = nap(3333);
    bench.prints(&format!("sleep {nap} & sleep {nap} > /dev/null 2>&1 & echo started"));
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(sleepers(&nap), Vec::<String>::new());
}

#[test]
fn a_run_that_takes_too_long_is_killed_and_told() {
    let bench = Bench::new();
    let nap = nap(4444);
    let mut run = bench.script(&format!("echo begun; sleep {nap}"));
    run.timeout_seconds = 1;
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(failure.error.to_string().contains("within 1 second and"), "{}", chain(&failure));
    assert!(failure.error.to_string().contains("| begun"), "{}", chain(&failure));
    assert_eq!(sleepers(&nap), Vec::<String>::new());
}

#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let (bench, nap) = (Bench::new(), nap(5555));
    thread::scope(|scope| {
        let run = scope.spawn(|| bench.perform(&bench.script(&format!("sleep {nap}"))));
        wait_until("the command's start", || !sleepers(&nap).is_empty());
        bench.cancelled.store(true, Ordering::Relaxed);
        assert_eq!(run.join().unwrap().unwrap_err().fault, Fault::Cancelled);
    });
    assert_eq!(sleepers(&nap), Vec::<String>::new());
    let left = fs::read_dir(bench.store.dir().join("temporary")).unwrap().count();
    assert_eq!(left, 0);
}
