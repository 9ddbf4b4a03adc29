//! What an image may run on.

/// The platforms that a variant can be for. `qemu` is the default.
pub const PLATFORMS: [&str; 6] = ["qemu", "aws", "azure", "gce", "metal", "vmware"];
