//! What this machine was given, and what was changed since, as its data partition keeps it.

use std::collections::BTreeMap;

use brc_contract::settings::{MAX_SETTINGS, SETTINGS_VERSION, Source, Value};
use brc_linux::{FileError, Files};
use serde::{Deserialize, Serialize};

use super::INSTANCE;

/// Where it is kept.
pub(crate) const KEPT: &str = "/var/lib/brc/settings/kept.json";
/// The most bytes of it: each source, and the changes.
const MAX_KEPT: usize = 6 * MAX_SETTINGS;

/// Who changes settings on the machine itself, as a layer is called.
pub const CHANGES: &str = "changes";

/// Values that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Who, for messages: `ec2`, `changes`.
    pub name: String,
    /// The values, as they were given.
    pub values: Value,
}

/// What a machine keeps of its settings. Keys that this version does not know stay, so that another version finds them
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// [`SETTINGS_VERSION`] of who wrote it.
    pub version: u32,
    /// Which machine it is of: the identity that its firmware gives it. A copy of a disk in another machine is another
    /// machine, which is given its own.
    pub machine: Option<String>,
    /// What sources gave, as they gave it, by their names; one that has given nothing yet is heard again at the next start.
    pub given: BTreeMap<String, Value>,
    /// What was changed since.
    pub changes: Value,
    /// What a later version keeps beside it.
    #[serde(flatten)]
    pub later: BTreeMap<String, serde_json::Value>,
}

/// What this machine was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What is kept; without a file, or on another machine, nothing.
    pub kept: Kept,
    /// Whether nothing was kept for this machine before.
    pub is_new: bool,
}

impl Given {
    /// Reads what is kept, for the machine that runs.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(files: &Files) -> Result<Self, GivenError> {
        let machine = firmware(files);
        let none = || Kept {
            version: SETTINGS_VERSION,
            machine: machine.clone(),
            given: BTreeMap::new(),
            changes: Value::none(),
            later: BTreeMap::new(),
        };
        let text = match files.text(KEPT, MAX_KEPT) {
            Ok(text) => text,
            Err(error) if error.is_absence() => return Ok(Given { kept: none(), is_new: true }),
            Err(error) => return Err(error.into()),
        };
        let kept: Kept = serde_json::from_str(&text)?;
        let is_new = kept.machine != machine;
        Ok(Given { kept: if is_new { none() } else { kept }, is_new })
    }

    /// Whether a source has been heard.
    pub fn has(&self, source: Source) -> bool {
        self.kept.given.contains_key(source.name())
    }

    /// The layers: what the platform says of the machine, then those of `sources` in that order, then the changes.
    pub fn layers(&self, sources: &[Source]) -> Vec<Layer> {
        let of = |name: &str| {
            let values = self.kept.given.get(name)?.clone();
            Some(Layer { name: name.to_owned(), values })
        };
        let changes = Layer { name: CHANGES.to_owned(), values: self.kept.changes.clone() };
        let names = [INSTANCE].into_iter().chain(sources.iter().map(|source| source.name()));
        names.filter_map(of).chain([changes]).collect()
    }

    /// The file that keeps it: its path and bytes.
    ///
    /// # Errors
    /// More than can be read back.
    pub fn file(&self) -> Result<(&'static str, Vec<u8>), GivenError> {
        let mut bytes = serde_json::to_vec(&Kept { version: SETTINGS_VERSION, ..self.kept.clone() })?;
        bytes.push(b'\n');
        if bytes.len() > MAX_KEPT { Err(GivenError::TooMuch) } else { Ok((KEPT, bytes)) }
    }
}

/// The identity that the firmware gives the machine, if it gives one.
pub(crate) fn firmware(files: &Files) -> Option<String> {
    let text = files.text("/sys/class/dmi/id/product_uuid", 256).ok()?;
    Some(text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty())
}

/// What is kept cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what this program writes.
    #[error("`{KEPT}` is not what brc-agent writes; without it the machine asks for its user data anew")]
    Format(#[from] serde_json::Error),
    /// It would not be read back.
    #[error("the settings of this machine would have more than {MAX_KEPT} bytes")]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine(uuid: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        for parent in ["sys/class/dmi/id", "var/lib/brc/settings"] {
            fs::create_dir_all(folder.path().join(parent)).unwrap();
        }
        fs::write(folder.path().join("sys/class/dmi/id/product_uuid"), format!("{uuid}\n")).unwrap();
        let files = Files::below(folder.path());
        (folder, files)
    }

    fn motd(text: &str) -> Value {
        Value::Text(text.to_owned()).nested(["motd"].into_iter())
    }

    #[test]
    fn what_is_kept_is_found_again_on_the_machine_that_it_is_of_and_on_no_other() {
        let (folder, files) = machine("3B8F8425-20E0-4F3B-907F-1A25A76F98E8");
        let mut given = Given::of(&files).unwrap();
        assert!(!given.has(Source::Ec2));
        given.kept.given.insert("ec2".to_owned(), motd("given"));
        given.kept.given.insert("file".to_owned(), motd("file"));
        given.kept.changes = motd("changed");
        let (path, bytes) = given.file().unwrap();
        fs::write(folder.path().join(path.trim_start_matches('/')), bytes).unwrap();
        let again = Given::of(&files).unwrap();
        assert_eq!(again, Given { is_new: false, ..given });
        let names: Vec<String> =
            again.layers(&[Source::File, Source::Ec2]).into_iter().map(|layer| layer.name).collect();
        assert_eq!(names, ["file", "ec2", "changes"]);
        assert_eq!(again.layers(&[]).len(), 1);
        fs::write(folder.path().join("sys/class/dmi/id/product_uuid"), "another\n").unwrap();
        assert!(!Given::of(&files).unwrap().has(Source::Ec2));
    }

    #[test]
    fn a_file_of_a_later_version_serves() {
        let (folder, files) = machine("a");
        let text = r#"{"version": 9, "machine": "a", "given": {"ec2": {"motd": "a", "new-key": {"b": 1}}, "new-source": {}},
                "changes": {}, "new-member": {"c": [1]}}"#;
        fs::write(folder.path().join("var/lib/brc/settings/kept.json"), text).unwrap();
        let given = Given::of(&files).unwrap();
        assert_eq!(given.layers(&[Source::Ec2])[0].values.at(["new-key", "b"]), Some(&Value::Integer(1)));
        let text = String::from_utf8(given.file().unwrap().1).unwrap();
        for kept in ["new-key", "new-source", r#""new-member":{"c":[1]}"#] {
            assert!(text.contains(kept), "{text}");
        }
        fs::write(folder.path().join("var/lib/brc/settings/kept.json"), "{").unwrap();
        assert!(matches!(Given::of(&files), Err(GivenError::Format(_))));
    }
}
