//! The door through which whoever started a virtual machine looks inside: what is said at it.
//!
//! [`Frame`]s go both ways over one virtio-serial port, of several sessions at once; [`Entry`]s are what files and folders
//! are copied as, inside of a session's bytes.
//!
//! *How it begins.* Neither end sees the other start anew, so each may find the rest of what was said to its predecessor.
//! The machine says [`Message::Hello`] with a number that it has drawn, and counts nothing that comes before it was told the
//! same number back. The other end takes each `Hello` for a machine that was started anew: all sessions are over.
//!
//! *How it flows.* A session's bytes cost what [`Message::cost`] says. Who sends them has [`WINDOW`] to spend, and gets back
//! what the receiver says [`Message::Taken`] of. So nobody has to keep more than that for anybody, and a session that
//! nobody reads holds up no other one.

mod entry;
mod frame;
mod stream;
mod window;

pub use entry::{Entry, EntryError, EntryKind, MAX_ENTRY_HEADER, parse_entry};
pub use frame::{Command, End, Frame, FrameError, Message};
pub use stream::Decoder;
pub use window::Window;

/// The version of all of it. One that says another version is not talked to.
pub const VERSION: u32 = 1;
/// What the port and the credential without which the door stays closed are called.
pub const NAME: &str = "brc.door";
/// What may be on its way in one direction of one session.
pub const WINDOW: usize = 256 << 10;
/// The most bytes of a session in one frame.
pub const MAX_PIECE: usize = 16 << 10;
/// The most bytes of a frame, as it is before it is made fit for the stream.
pub const MAX_FRAME: usize = 64 << 10;
/// So many sessions are open at once.
pub const MAX_SESSIONS: usize = 16;
