//! Asking AWS: who asks, for what region, signed and patient.
//!
//! What a server answers is untrusted: its size is limited, its XML has no document type and a limited number of nodes,
//! and whether something is tried again is decided by its status and its code, never by its sentence.

mod ambient;
mod answer;
mod call;
mod client;
mod credentials;
mod failure;
mod key;
mod profile;
mod sign;
mod xml;

pub use ambient::{Ambient, CredentialsError};
pub use answer::Answer;
pub use call::{Call, Query, Service};
pub use client::{Aws, Connections, Patience, check_region};
pub use failure::{AwsError, Refusal};
pub use xml::Node;
