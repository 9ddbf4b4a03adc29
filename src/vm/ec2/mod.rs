//! EC2, as a machine sees it: the instance metadata service (IMDSv2 alone), and what the firmware's tables say.
//!
//! What the machine asks is not trusted. Nothing of the host is in any answer but the user data.

mod answer;
mod fault;
mod instance;
mod request;
mod server;

use std::net::{Ipv4Addr, SocketAddrV4};

pub use fault::Fault;
pub(super) use instance::{Instance, USER_DATA_BYTES, UUID, tables};
pub(super) use server::Server;

use super::subnet::Subnet;

/// Where the metadata service is.
pub(super) const SERVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 169, 254), 80);

/// The network of an instance. Its addresses are link-local, so that one without a route reaches the service, too.
pub(super) const SUBNET: Subnet = Subnet {
    options: ",net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart=169.254.0.15",
    mac: instance::MAC,
    host: Ipv4Addr::new(169, 254, 0, 100),
};
