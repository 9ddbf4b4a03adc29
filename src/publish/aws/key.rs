//! The key that requests are signed with.

/// A key, without which nothing is signed; never shown.
#[derive(Clone)]
pub(super) struct Credentials {
    /// The access key's name.
    pub key: String,
    /// The secret.
    pub secret: String,
    /// The token of a session.
    pub token: Option<String>,
    /// Until when it counts, in seconds since 1970.
    pub until: Option<u64>,
}

/// Credentials and where they are from.
#[derive(Clone)]
pub(super) struct Found {
    /// The key.
    pub credentials: Credentials,
    /// Where they are from, for people.
    pub from: String,
}
