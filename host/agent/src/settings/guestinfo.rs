//! VMware's `guestinfo`: what an administrator of vSphere hands over to a virtual machine.
//!
//! The channel to the hypervisor is VMware's own; its own program speaks it (open-vm-tools).

use std::{
    io::{self, Read as _},
    process::{Command, Stdio},
};

use brc_contract::settings::MAX_SETTINGS;
use brc_linux::Files;

/// VMware's program.
pub const PROGRAM: &str = "/usr/bin/vmware-rpctool";
/// What it is asked for; whether that is packed is seen by looking at it.
pub const QUESTION: &str = "info-get guestinfo.userdata";

/// Whether the firmware says that this is a machine of VMware.
pub fn is_here(files: &Files) -> bool {
    files.text("/sys/class/dmi/id/sys_vendor", 256).is_ok_and(|text| text.trim().starts_with("VMware"))
}

/// The user data; nothing when the machine has none.
///
/// # Errors
/// When `program` cannot be asked, or says more than user data may have.
#[expect(clippy::disallowed_methods, reason = "VMware's channel is spoken by its own program")]
pub fn user_data(program: &str) -> Result<Option<Vec<u8>>, GuestInfoError> {
    let failed = |source| GuestInfoError::Ask { program: program.to_owned(), source };
    let mut asked = Command::new(program)
        .arg(QUESTION)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut bytes = Vec::new();
    if let Some(out) = asked.stdout.take() {
        out.take(MAX_SETTINGS as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > MAX_SETTINGS {
        let _ = asked.kill();
        let _ = asked.wait();
        return Err(GuestInfoError::TooMuch);
    }
    let has_some = asked.wait().map_err(failed)?.success();
    // It says `No value found` and fails when nobody has set any.
    Ok(Some(bytes).filter(|bytes| has_some && !bytes.trim_ascii().is_empty()))
}

/// VMware does not say what the user data are.
#[derive(Debug, thiserror::Error)]
pub enum GuestInfoError {
    /// Its program does not run.
    #[error("`{program}` cannot be asked for `guestinfo.userdata`")]
    Ask { program: String, source: io::Error },
    /// No user data are so large.
    #[error("`guestinfo.userdata` has more than {MAX_SETTINGS} bytes")]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// What a program says that answers like VMware's, as the shell has it.
    fn asked(script: &str) -> Result<Option<Vec<u8>>, GuestInfoError> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("rpctool");
        fs::write(&program, format!("#!/bin/sh\n[ \"$1\" = \"{QUESTION}\" ] || exit 9\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        loop {
            match user_data(program.to_str().unwrap()) {
                // A child of another test has the file open for writing, for as long as it has not become its program.
                Err(GuestInfoError::Ask { source, .. }) if source.kind() == io::ErrorKind::ExecutableFileBusy => {}
                answer => return answer,
            }
        }
    }

    #[test]
    fn user_data_are_taken_whole_and_none_is_told_from_a_failure() {
        assert_eq!(asked("printf '[settings]\\nmotd = 1'").unwrap().as_deref(), Some(&b"[settings]\nmotd = 1"[..]));
        assert_eq!(asked("echo 'No value found'; exit 1").unwrap(), None);
        assert_eq!(asked("echo").unwrap(), None);
        assert!(matches!(asked("yes"), Err(GuestInfoError::TooMuch)));
        assert!(matches!(user_data("/no/such/program"), Err(GuestInfoError::Ask { .. })));
    }
}
