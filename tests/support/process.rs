//! Processes of this machine, as its `/proc` shows them.

use std::{
    fs,
    io::Read,
    thread,
    time::{Duration, Instant},
};

/// About so many seconds, as no other test process sleeps: what a script of a test gives `sleep`.
pub fn nap(seconds: u32) -> String {
    format!("{seconds}.{:08}", std::process::id())
}

/// The processes that are `sleep` with this time, wherever they run.
pub fn sleepers(nap: &str) -> Vec<String> {
    let wanted = format!("sleep\0{nap}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let is_one = |path: &std::path::Path| {
        let mut line = Vec::new();
        let read = fs::File::open(path.join("cmdline")).and_then(|mut file| file.read_to_end(&mut line));
        read.is_ok() && String::from_utf8_lossy(&line).contains(&wanted)
    };
    processes.map(|entry| entry.path()).filter(|path| is_one(path)).map(|path| path.display().to_string()).collect()
}

/// Waits for something that happens soon.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what} did not happen");
        thread::sleep(Duration::from_millis(20));
    }
}
