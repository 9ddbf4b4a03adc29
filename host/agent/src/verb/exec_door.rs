//! `brc-agent exec-door`.

use std::{
    fs::{File, OpenOptions},
    io,
    process::Command,
    thread,
    time::Duration,
};

use brc_agent::door;
use brc_contract::{door::NAME, error_chain};
use brc_linux::Files;
use rustix::rand::GetRandomFlags;

use super::{CANNOT, Said};

/// How often the port is looked for, and for how long: its driver is loaded while the machine starts.
const PAUSE: Duration = Duration::from_millis(250);
const LOOKS: u32 = 240;

/// Opens the door, and serves who is there until the machine ends.
pub fn run() -> Said {
    let message = match open() {
        Ok(port) => serve(&port),
        Err(message) => message,
    };
    Said { text: String::new(), told: vec![format!("error: {message}")], code: CANNOT }
}

/// The port, when the door may be open.
fn open() -> Result<File, String> {
    door::may_open(&Files::below("/"), is_virtual()?).map_err(|error| error_chain(&error))?;
    let path = format!("/dev/virtio-ports/{NAME}");
    let mut looks = 0;
    loop {
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(port) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::NotFound && looks < LOOKS => {
                looks += 1;
                pause();
            }
            Err(error) => return Err(format!("`{path}` cannot be opened: {error}")),
        }
    }
}

/// Serves until the port is gone.
fn serve(port: &File) -> String {
    loop {
        let mut nonce = [0; 8];
        let drawn = rustix::rand::getrandom(&mut nonce, GetRandomFlags::empty());
        let served = drawn
            .map_err(io::Error::from)
            .and_then(|_| door::serve(port, port.try_clone()?, u64::from_le_bytes(nonce)));
        match served {
            // Nobody is at the other end, or not yet.
            Ok(()) => pause(),
            Err(error) => return format!("the port `{NAME}` does not work: {error}"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what the machine waits for says nothing when it comes")]
fn pause() {
    thread::sleep(PAUSE);
}

/// Whether this is a virtual machine, and no container in one.
#[expect(clippy::disallowed_methods, reason = "systemd is asked by its own program")]
fn is_virtual() -> Result<bool, String> {
    let asked = Command::new("/usr/bin/systemd-detect-virt").args(["--vm", "--quiet"]).status();
    asked.map(|status| status.success()).map_err(|error| format!("`systemd-detect-virt` cannot be started: {error}"))
}
