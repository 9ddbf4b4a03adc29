//! How far updates are, as operators of fleets ask for it: the words of Bottlerocket's API.
//!
//! `brc-update` puts an update into the other slot in one go, so what is prepared is what the next start is of, whoever
//! makes it; activating it asks for that start.

use brc_contract::os_release;
use brc_linux::{FileError, Files};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the last step left behind, until the machine starts again.
pub const PROGRESS: &str = "/run/brc/update/progress.json";
/// There while an update is written and nobody has asked for the start of it.
pub const STAGED: &str = "/run/brc/update/staged";
/// There while a start is asked for: operators of clusters look for it.
pub const REBOOT_REQUIRED: &str = "/run/reboot-required";
const MAX_PROGRESS: usize = 256 << 10;
/// The most bytes of what a step has said that are kept.
pub const MAX_SAID: usize = 16 << 10;

/// What the last step left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The newest version that may be taken now, when the repository was asked.
    pub available: Option<String>,
    /// The last step.
    pub last: Option<Step>,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name: `refresh`, `prepare`, `activate` or `deactivate`.
    pub name: String,
    /// When it was over, in seconds since 1970.
    pub at: u64,
    /// The exit code; none of one that was killed.
    pub exit_code: Option<i32>,
    /// What it said on standard error.
    pub said: String,
}

impl Progress {
    /// What was left behind; nothing when there was no step yet.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(files: &Files) -> Result<Self, ProgressError> {
        match files.text(PROGRESS, MAX_PROGRESS) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.is_absence() => Ok(Progress::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The status of updates.
    ///
    /// # Errors
    /// A machine that does not say what it runs.
    pub fn status(&self, files: &Files, architecture: &str) -> Result<Value, ProgressError> {
        let text = files.text(&format!("/{}", brc_contract::well_known::OS_RELEASE), MAX_PROGRESS)?;
        let value = |key| os_release::value(&text, key).unwrap_or_default();
        let variant = value(os_release::IMAGE_ID);
        let image = |version: &str| json!({ "arch": architecture, "variant": variant, "version": version });
        let is_there = |path: &str| files.bytes(path, MAX_PROGRESS).is_ok();
        let state = match (is_there(REBOOT_REQUIRED), is_there(STAGED), &self.available) {
            (true, _, _) => "Ready",
            (false, true, _) => "Staged",
            (false, false, Some(_)) => "Available",
            (false, false, None) => "Idle",
        };
        let is_written = matches!(state, "Ready" | "Staged");
        let chosen = self.available.as_deref().map(image);
        let staging = is_written.then(|| json!({ "image": chosen, "next_to_boot": true }));
        let last = self.last.as_ref().map(|step| {
            json!({
                "cmd_type": step.name,
                "cmd_status": if step.exit_code == Some(0) { "Success" } else { "Failed" },
                "timestamp": timestamp(step.at),
                "exit_status": step.exit_code,
                "stderr": step.said,
            })
        });
        Ok(json!({
            "update_state": state,
            "available_updates": self.available.iter().collect::<Vec<_>>(),
            "chosen_update": chosen,
            "active_partition": { "image": image(value(os_release::IMAGE_VERSION)), "next_to_boot": !is_written },
            "staging_partition": staging,
            "most_recent_command": last,
        }))
    }
}

/// The version that `brc-update check --json` says may be taken now.
///
/// # Errors
/// What that program does not write.
pub fn available(checked: &str) -> Result<Option<String>, ProgressError> {
    let checked: Value = serde_json::from_str(checked)?;
    let update = &checked["update"];
    let may_be_taken = update["is_open"] == true && update["refused"].is_null();
    Ok(update["version"].as_str().filter(|_| may_be_taken).map(str::to_owned))
}

/// A time in seconds since 1970 as RFC 3339 has it. The days of a date: the civil calendar, counted from the first of March.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// How far updates are is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was left behind is not what this program writes.
    #[error("what the last step of an update has left is not what brc writes")]
    Format(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_time_is_written_as_the_field_does() {
        // Of date(1).
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_796_000_000, "2026-11-30T00:53:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }

    #[test]
    fn an_update_goes_from_available_to_ready() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::below(folder.path());
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("/usr/lib/os-release", "IMAGE_ID=a\nIMAGE_VERSION=1.9.0\n");
        let status = |progress: &Progress| progress.status(&files, "x86_64").unwrap();
        let mut progress = Progress::of(&files).unwrap();
        assert_eq!(status(&progress)["update_state"], "Idle");
        let checked = r#"{"running": "1.9.0", "update": {"version": "1.10.0", "is_open": true, "refused": null}}"#;
        progress.available = available(checked).unwrap();
        progress.last = Some(Step { name: "refresh".to_owned(), at: 0, exit_code: Some(0), said: String::new() });
        put(PROGRESS, &serde_json::to_string(&progress).unwrap());
        let progress = Progress::of(&files).unwrap();
        let said = status(&progress);
        assert_eq!((&said["update_state"], &said["chosen_update"]["version"]), (&json!("Available"), &json!("1.10.0")));
        assert_eq!(said["most_recent_command"]["cmd_status"], "Success");
        assert_eq!(said["active_partition"]["next_to_boot"], true);
        put(STAGED, "");
        let said = status(&progress);
        assert_eq!(
            (&said["update_state"], &said["active_partition"]["next_to_boot"]),
            (&json!("Staged"), &json!(false))
        );
        put(REBOOT_REQUIRED, "");
        assert_eq!(status(&progress)["staging_partition"]["image"]["version"], "1.10.0");
        assert_eq!(status(&progress)["update_state"], "Ready");
        for (open, refused) in [("false", "null"), ("true", "\"no\"")] {
            let checked = format!(r#"{{"update": {{"version": "2", "is_open": {open}, "refused": {refused}}}}}"#);
            assert_eq!(available(&checked).unwrap(), None);
        }
        assert_eq!(available(r#"{"update": null}"#).unwrap(), None);
        assert!(available("no").is_err());
    }
}
