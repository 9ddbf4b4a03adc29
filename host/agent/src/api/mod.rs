//! What programs on this machine may ask of it, over HTTP on a socket: the part of Bottlerocket's API that containers of
//! administrators, operators of updates and commands of user data call.
//!
//! *Takes* one [`Request`]. *Gives* the [`Call`] that it is, or the [`Answer`] that refuses it. *Promises*: a request has a
//! limit in every direction before anything of it is believed; what there is no call for changes nothing. *Does not know*
//! who asks (the socket has its owner and mode), nor how a call is obeyed.

mod call;
mod http;
mod pending;

pub use call::{Call, Ephemeral, Selection, UpdateStep};
pub use http::{Answer, Request};
pub use pending::{Pending, PendingError};
