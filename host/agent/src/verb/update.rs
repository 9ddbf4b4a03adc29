//! `brc-agent update`: a step of an update, as operators of fleets take it.

use std::{
    fs, io,
    path::Path,
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use brc_agent::{
    api::UpdateStep,
    updates::{MAX_SAID, PROGRESS, Progress, Step, available},
};
use brc_contract::{
    error_chain,
    well_known::{REBOOT_REQUIRED, UPDATE_STAGED},
};
use brc_linux::Files;

use super::{CANNOT, NOT_SO, Said};

/// Takes it, and keeps how it went for whoever asks.
pub fn run(step: UpdateStep) -> Said {
    let (code, said) = match take(step) {
        Ok(said) => (Some(0), said),
        Err((code, why)) => (code, why),
    };
    let kept = keep(step, code, &said);
    let mut told: Vec<String> = said.lines().map(str::to_owned).collect();
    let code = match (kept, code) {
        (Err(error), _) => {
            told.push(format!("error: `{PROGRESS}` cannot be written: {error}"));
            CANNOT
        }
        (Ok(()), Some(0)) => 0,
        (Ok(()), code) => code.and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_SO),
    };
    Said { text: String::new(), told, code }
}

/// What a step that failed ended with, and why.
type Failed = (Option<i32>, String);

fn take(step: UpdateStep) -> Result<String, Failed> {
    let files = Files::below("/");
    let moved = |from: &str, to: &str| {
        let done = fs::create_dir_all(Path::new(UPDATE_STAGED).parent().unwrap_or(Path::new("/run")));
        let failed = |error: io::Error| (None, format!("error: `{from}` cannot be moved to `{to}`: {error}"));
        done.and_then(|()| fs::rename(from, to)).map_err(failed)
    };
    let is_there = |path: &str| files.bytes(path, MAX_SAID).is_ok();
    match step {
        UpdateStep::Refresh => {
            let (checked, said) = update(&["check", "--json"])?;
            let found = available(&checked).map_err(|error| (None, format!("error: {}", error_chain(&error))))?;
            remember(found).map_err(|error| (None, format!("error: {error}")))?;
            Ok(said)
        }
        UpdateStep::Prepare => {
            let (_, said) = update(&["apply"])?;
            if is_there(REBOOT_REQUIRED) {
                moved(REBOOT_REQUIRED, UPDATE_STAGED)?;
            }
            Ok(said)
        }
        UpdateStep::Activate if is_there(REBOOT_REQUIRED) => Ok(String::new()),
        UpdateStep::Activate if is_there(UPDATE_STAGED) => {
            moved(UPDATE_STAGED, REBOOT_REQUIRED).map(|()| String::new())
        }
        UpdateStep::Activate => Err((Some(1), "error: nothing is prepared".to_owned())),
        UpdateStep::Deactivate => {
            let (_, said) = update(&["rollback"])?;
            if is_there(UPDATE_STAGED) {
                fs::remove_file(UPDATE_STAGED).map_err(|error| (None, format!("error: `{UPDATE_STAGED}`: {error}")))?;
            }
            Ok(said)
        }
    }
}

/// What `brc-update` says on both outputs.
#[expect(clippy::disallowed_methods, reason = "updates are taken by a program of their own")]
fn update(words: &[&str]) -> Result<(String, String), Failed> {
    let ended = Command::new("/usr/bin/brc-update").args(words).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } =
        ended.map_err(|error| (None, format!("error: `brc-update` cannot be started: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SAID)]).into_owned();
    match status.success() {
        true => Ok((String::from_utf8_lossy(&stdout).into_owned(), text(&stderr))),
        false => Err((status.code(), text(&stderr))),
    }
}

fn remember(available: Option<String>) -> Result<(), String> {
    let progress = Progress::of(&Files::below("/")).unwrap_or_default();
    write(&Progress { available, ..progress }).map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "who asks how it went wants to know when")]
fn keep(step: UpdateStep, exit_code: Option<i32>, said: &str) -> io::Result<()> {
    // Of a file that nobody can read nothing is lost.
    let progress = Progress::of(&Files::below("/")).unwrap_or_default();
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let last = Some(Step { name: step.name().to_owned(), at, exit_code, said: said.to_owned() });
    write(&Progress { last, ..progress })
}

fn write(progress: &Progress) -> io::Result<()> {
    brc_linux::write_whole(Path::new(PROGRESS), &serde_json::to_vec(progress)?, 0o644)
}
