//! What a file system is, besides its files.

/// What a file system is called and what time its files show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Its size in bytes.
    pub size: u64,
    /// Its id.
    pub id: u32,
    /// Its label, filled up with spaces.
    pub label: Option<[u8; 11]>,
    /// Seconds since 1970.
    pub epoch: u64,
}
