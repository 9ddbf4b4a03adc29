//! When the door stays closed.

use brc_contract::{door::NAME, well_known::CREDENTIALS};
use brc_linux::Files;

/// The largest credential that is looked at.
const MAX_CREDENTIAL: usize = 32 << 10;

/// Whether the door may be open: in a virtual machine, to whose starter it was handed over.
///
/// # Errors
/// Why it may not.
pub fn may_open(files: &Files, is_virtual: bool) -> Result<(), Closed> {
    if !is_virtual {
        return Err(Closed::Metal);
    }
    let path = format!("{CREDENTIALS}/{NAME}");
    match files.bytes(&path, MAX_CREDENTIAL) {
        Ok(_) => Ok(()),
        Err(error) if error.is_absence() => Err(Closed::NoCredential),
        Err(source) => Err(Closed::Unreadable(source)),
    }
}

/// The door stays closed.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// This is no virtual machine.
    #[error("the door stays closed: this is no virtual machine")]
    Metal,
    /// Nobody asked for it, or the image takes no credentials.
    #[error("the door stays closed: nobody handed the credential `{NAME}` over, or this image takes none")]
    NoCredential,
    /// Whether somebody asked for it cannot be told.
    #[error("the door stays closed")]
    Unreadable(#[source] brc_linux::FileError),
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_door_opens_in_a_virtual_machine_with_the_credential_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::below(folder.path());
        assert!(matches!(may_open(&files, true), Err(Closed::NoCredential)));
        let credentials = folder.path().join("run/credentials/@system");
        fs::create_dir_all(&credentials).unwrap();
        fs::write(credentials.join("other"), "").unwrap();
        assert!(matches!(may_open(&files, true), Err(Closed::NoCredential)));
        fs::write(credentials.join("brc.door"), "open").unwrap();
        assert!(may_open(&files, true).is_ok());
        assert!(matches!(may_open(&files, false), Err(Closed::Metal)));
        fs::remove_file(credentials.join("brc.door")).unwrap();
        fs::create_dir(credentials.join("brc.door")).unwrap();
        assert!(matches!(may_open(&files, true), Err(Closed::Unreadable(_))));
    }
}
