//! How far updates are, as operators of fleets ask for it: the words of Bottlerocket's API.
//!
//! `brc-update` puts an update into the other slot in one go, so what is prepared is what the next start is of, whoever
//! makes it; activating it asks for that start.

use brc_contract::{
    date::date_text,
    os_release,
    well_known::{REBOOT_REQUIRED, UPDATE_STAGED},
};
use brc_linux::{FileError, Files};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the last step left behind, until the machine starts again.
pub const PROGRESS: &str = "/run/brc/update/progress.json";
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
        let state = match (is_there(REBOOT_REQUIRED), is_there(UPDATE_STAGED), &self.available) {
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
                "timestamp": date_text(step.at),
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
        put(UPDATE_STAGED, "");
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
