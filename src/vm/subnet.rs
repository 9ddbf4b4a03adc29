//! The network between a machine and QEMU, in which there is nobody else.

use std::net::Ipv4Addr;

/// Which addresses a machine meets.
#[derive(Debug)]
pub(super) struct Subnet {
    /// What QEMU is told of it: constants alone.
    pub options: &'static str,
    /// The address of the machine's network device.
    pub mac: &'static str,
    /// Where the machine finds the ports of the host that it may reach.
    pub host: Ipv4Addr,
}

/// QEMU's own, 10.0.2.0/24.
pub(super) const PRIVATE: Subnet = Subnet { options: "", mac: "52:54:00:12:34:56", host: Ipv4Addr::new(10, 0, 2, 100) };
