//! Archives and servers that tests start on loopback.

#[allow(dead_code, reason = "shared with the tests of `lock`, which use all of it")]
pub mod archive;
#[cfg(feature = "suite-vm")]
pub mod aws;
pub mod git;
#[cfg(feature = "suite-vm")]
pub mod oci;
pub mod package;
pub mod process;
pub mod project;
pub mod run;
pub mod server;

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
