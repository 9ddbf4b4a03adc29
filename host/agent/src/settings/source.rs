//! User data that is at hand, without asking anybody.

use brc_contract::settings::{MAX_SETTINGS, Source};
use brc_linux::{FileError, Files};

/// Where it lies: on the ESP, where anybody can put it who has the disk in their hands, or on the data partition.
const FILES: [&str; 2] = ["/efi/brc/user-data.toml", "/var/lib/brc/user-data.toml"];
/// Where systemd puts what firmware or hypervisor hands over (systemd.exec(5), `@system`).
const CREDENTIALS: [&str; 1] = ["/run/credentials/@system/brc.user-data"];

/// What a source has at hand, and where that lies; nothing when it has nothing, or is one that must be asked.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn at_hand(source: Source, files: &Files) -> Result<Option<(&'static str, Vec<u8>)>, FileError> {
    let places: &[&str] = match source {
        Source::File => &FILES,
        Source::Credential => &CREDENTIALS,
        Source::Ec2 => &[],
    };
    for place in places {
        match files.bytes(place, MAX_SETTINGS) {
            Ok(bytes) => return Ok(Some((place, bytes))),
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
