//! What is worth saying of a machine while it runs.

use std::{fmt, io, net::SocketAddrV4};

/// Something that whoever booted a machine should know while it runs.
#[derive(Debug)]
pub enum Notice {
    /// The machine asked for a port of the host's loopback at which nobody answers; told once for each port.
    Unanswered {
        /// The port.
        port: u16,
        /// What the host said.
        source: io::Error,
    },
    /// What answered the machine at an address does so no more.
    Closed {
        /// The address.
        at: SocketAddrV4,
        /// What the host said.
        source: io::Error,
    },
}

/// Who is told; from any thread.
pub type Tell<'a> = &'a (dyn Fn(&Notice) + Sync);

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered { port, source } => {
                write!(f, "the machine asked for port {port} of this host, where nobody answers: {source}")
            }
            Self::Closed { at, source } => write!(f, "the machine finds nobody at {at} any more: {source}"),
        }
    }
}
