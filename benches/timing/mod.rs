//! Medians, and how two compare; shared by the benchmarks.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often everything is run.
pub const ROUNDS: usize = 5;

/// What one thing took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// From start to end.
    pub wall: Duration,
    /// The most memory at one time in KiB, where a child was watched.
    pub memory_kib: u64,
}

/// The median of [`ROUNDS`] runs; `prepare` is not counted.
pub fn median(mut prepare: impl FnMut(), mut run: impl FnMut() -> u64) -> Took {
    let mut took: Vec<Took> = (0..ROUNDS)
        .map(|_| {
            prepare();
            let start = Instant::now();
            let memory_kib = run();
            Took { wall: start.elapsed(), memory_kib }
        })
        .collect();
    took.sort_by_key(|took| took.wall);
    took[ROUNDS / 2]
}

/// Runs a program to its good end; the most memory in KiB that it had itself.
pub fn run(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        most = peak(Path::new(&status)).unwrap_or(most).max(most);
        if let Some(code) = child.try_wait().expect("a child") {
            assert!(code.success(), "{command:?}: {code}");
            return most;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn peak(status: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0))
}

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Prints ours, and theirs beside it where it was measured.
pub fn tell(what: &str, ours: Took, theirs: Option<(&str, Took)>) {
    let memory = if ours.memory_kib > 0 { format!(", {} MiB", ours.memory_kib / 1024) } else { String::new() };
    println!("{what}: brc {:.3} s{memory} (median of {ROUNDS})", ours.wall.as_secs_f64());
    if let Some((peer, theirs)) = theirs {
        let ratio = ours.wall.as_secs_f64() / theirs.wall.as_secs_f64();
        println!("{what}: {peer} {:.3} s; brc takes {ratio:.2} of that", theirs.wall.as_secs_f64());
    }
}
