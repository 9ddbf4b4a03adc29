//! User data that is at hand, without asking anybody.

use brc_contract::{
    settings::{MAX_SETTINGS, Source},
    well_known::CREDENTIALS,
};
use brc_linux::{FileError, Files};

/// Where it lies on the data partition.
const ON_DATA: &str = "/var/lib/brc/user-data.toml";
/// Where it lies on the ESP, for who has the disk in their hands before its first start. Later nobody looks: to mount the
/// ESP takes longer than all the rest.
const ON_ESP: &str = "/efi/brc/user-data.toml";
/// Where it lies on a disk that brings it, below where component `config-drive` mounts that: NoCloud's, and OpenStack's.
const ON_DRIVE: [&str; 2] = ["/run/brc/config-drive/user-data", "/run/brc/config-drive/openstack/latest/user_data"];
/// The credential that brings it.
const CREDENTIAL: &str = "brc.user-data";

/// What a source has at hand, and where that lies; nothing when it has nothing, or is one that must be asked. `is_new` is a
/// machine that keeps no settings yet.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn at_hand(source: Source, files: &Files, is_new: bool) -> Result<Option<(String, Vec<u8>)>, FileError> {
    let places = match source {
        Source::File if is_new => vec![ON_DATA.to_owned(), ON_ESP.to_owned()],
        Source::File => vec![ON_DATA.to_owned()],
        Source::ConfigDrive => ON_DRIVE.map(str::to_owned).to_vec(),
        Source::Credential => vec![format!("{CREDENTIALS}/{CREDENTIAL}")],
        Source::Ec2 | Source::Vmware | Source::Url => Vec::new(),
    };
    for place in places {
        match files.bytes(&place, MAX_SETTINGS) {
            // A drive that is there for a machine's name alone.
            Ok(bytes) if bytes.is_empty() && source == Source::ConfigDrive => {}
            Ok(bytes) => return Ok(Some((place, bytes))),
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_esp_is_looked_at_by_a_new_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::below(folder.path());
        assert_eq!(at_hand(Source::File, &files, true).unwrap(), None);
        fs::create_dir_all(folder.path().join("efi/brc")).unwrap();
        fs::write(folder.path().join("efi/brc/user-data.toml"), "a").unwrap();
        assert_eq!(at_hand(Source::File, &files, true).unwrap(), Some((ON_ESP.to_owned(), b"a".to_vec())));
        assert_eq!(at_hand(Source::File, &files, false).unwrap(), None);
        assert_eq!(at_hand(Source::Ec2, &files, true).unwrap(), None);
        fs::create_dir_all(folder.path().join("run/brc/config-drive/openstack/latest")).unwrap();
        fs::write(folder.path().join("run/brc/config-drive/user-data"), "").unwrap();
        assert_eq!(at_hand(Source::ConfigDrive, &files, false).unwrap(), None);
        fs::write(folder.path().join("run/brc/config-drive/openstack/latest/user_data"), "b").unwrap();
        let found = at_hand(Source::ConfigDrive, &files, false).unwrap();
        assert_eq!(found, Some((ON_DRIVE[1].to_owned(), b"b".to_vec())));
        fs::create_dir_all(folder.path().join("var/lib/brc/user-data.toml")).unwrap();
        assert!(at_hand(Source::File, &files, false).is_err());
    }
}
