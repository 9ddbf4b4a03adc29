//! How runs end: by themselves, too late, stopped, or with the program that started them.

use std::{
    fs,
    io::Read,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use brc::plan::Fault;

use super::bench::{Bench, chain};

/// Processes of this machine whose command line has `word`.
fn processes_with(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let mut text = Vec::new();
        if let Ok(mut file) = fs::File::open(entry.path().join("cmdline")) {
            file.read_to_end(&mut text).unwrap_or_default();
        }
        if String::from_utf8_lossy(&text).contains(word) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} did not happen");
        thread::sleep(Duration::from_millis(20));
    }
}

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
    bench.prints("sleep 3333 & sleep 3333 > /dev/null 2>&1 & echo started");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(processes_with("sleep\x003333"), Vec::<String>::new());
}

#[test]
fn a_run_that_takes_too_long_is_killed_and_told() {
    let bench = Bench::new();
    let mut run = bench.script("echo begun; sleep 4444");
    run.timeout_seconds = 1;
    let failure = bench.perform(&run).unwrap_err();
    assert_eq!(failure.fault, Fault::Build);
    assert!(failure.error.to_string().contains("within 1 second and"), "{}", chain(&failure));
    assert!(failure.error.to_string().contains("| begun"), "{}", chain(&failure));
    assert_eq!(processes_with("sleep\x004444"), Vec::<String>::new());
}

#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let bench = Bench::new();
    thread::scope(|scope| {
        let run = scope.spawn(|| bench.perform(&bench.script("sleep 5555")));
        wait_until("the command's start", || !processes_with("sleep\x005555").is_empty());
        bench.cancelled.store(true, Ordering::Relaxed);
        assert_eq!(run.join().unwrap().unwrap_err().fault, Fault::Cancelled);
    });
    assert_eq!(processes_with("sleep\x005555"), Vec::<String>::new());
    let left = fs::read_dir(bench.store.dir().join("temporary")).unwrap().count();
    assert_eq!(left, 0);
}

/// Runs a script until it is killed; the test below starts this test alone, in a process of its own.
#[test]
fn victim_of_the_next_test() {
    if std::env::var_os("BRC_TEST_VICTIM").is_some() {
        let bench = Bench::new();
        let _ = bench.perform(&bench.script("sleep 6666 & sleep 6666"));
    }
}

#[test]
fn when_brc_is_killed_no_process_of_a_run_remains() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::end::victim_of_the_next_test"])
        .env("BRC_TEST_VICTIM", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_until("the command's start", || processes_with("sleep\x006666").len() == 2);
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the end of all processes", || processes_with("sleep\x006666").is_empty());
}
