//! What is asked of a machine.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

/// The size that disks are grown to, unless they are larger: room for a data partition.
const DISK_BYTES: u64 = 4 << 30;
/// Memory that is enough for a small container host.
const MEMORY_MIB: u32 = 2048;

/// What is booted, how, and until when.
#[derive(Debug, Clone)]
pub struct BootOrder {
    /// The disk image; only read.
    pub image: PathBuf,
    /// Where the machine's own disk is.
    pub disk: Disk,
    /// The least size of the machine's disk, in bytes; what the image does not fill is free.
    pub disk_bytes: u64,
    /// The memory in MiB.
    pub memory_mib: u32,
    /// The machine is ended when its serial line has printed this text. Terminal sequences do not count.
    pub until: Option<String>,
    /// The machine is ended after this time.
    pub timeout: Option<Duration>,
    /// Ports of the host's loopback that lead into the machine.
    pub forwards: Vec<Forward>,
    /// systemd credentials by name (systemd.system-credentials(7)), handed over by the firmware: at most 255, each
    /// at most 32 KiB.
    pub credentials: BTreeMap<String, Vec<u8>>,
    /// Files that the machine sees as further disks, in this order; only read.
    pub disks: Vec<PathBuf>,
    /// What happens when the machine resets itself.
    pub restart: Restart,
}

/// Where a machine's own disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// In a copy that is gone afterwards.
    Snapshot,
    /// In this copy of the image, which is made when it is not there and is used again when it is. The variables of
    /// its firmware lie beside it, in a file with `.vars` behind its name.
    Kept(PathBuf),
}

/// What happens when a machine resets itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It starts again.
    Follow,
    /// It ends.
    End,
}

/// A TCP port of the host's loopback that leads into the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port of 127.0.0.1 on the host.
    pub host: u16,
    /// The machine's port.
    pub guest: u16,
}

impl BootOrder {
    /// A boot of `image` that leaves nothing behind and goes on until the machine ends.
    pub fn new(image: PathBuf) -> Self {
        Self {
            image,
            disk: Disk::Snapshot,
            disk_bytes: DISK_BYTES,
            memory_mib: MEMORY_MIB,
            until: None,
            timeout: None,
            forwards: Vec::new(),
            credentials: BTreeMap::new(),
            disks: Vec::new(),
            restart: Restart::Follow,
        }
    }
}

impl FromStr for Forward {
    type Err = ParseForwardError;

    /// Reads `HOST:GUEST`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|port| digits && *port != 0)
        };
        let ports = text.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
        let (host, guest) = ports.ok_or_else(|| ParseForwardError { text: text.to_owned() })?;
        Ok(Self { host, guest })
    }
}

/// A text names no forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` forwards no port: expected HOST:GUEST, two numbers from 1 to 65535, as in 8080:80")]
pub struct ParseForwardError {
    /// What was read.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_two_port_numbers() {
        assert_eq!("8080:80".parse(), Ok(Forward { host: 8080, guest: 80 }));
        assert_eq!("1:65535".parse(), Ok(Forward { host: 1, guest: 65535 }));
        for text in ["", "80", ":80", "80:", "0:80", "80:0", "65536:1", "1:65536", "+1:2", " 1:2", "1:2:3", "a:b"] {
            assert!(text.parse::<Forward>().is_err(), "{text}");
        }
    }
}
