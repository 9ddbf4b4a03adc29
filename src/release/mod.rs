//! What an operator wants to know of a release: what differs from another one, and what takes the room.
//!
//! *Takes* manifests and what `inspect` read of images. *Gives* differences and sizes as data, and pages of them: text,
//! Markdown, HTML. *Promises*: the same images give the same bytes, sorted, without a time or a path of the machine; a
//! page needs nothing from elsewhere, and whatever an image says stands in it as text that nothing obeys.
//! *Does not know* recipes, files of the machine, or who reads.

mod change;
mod comparison;
mod comparison_page;
mod facts;
mod file_change;
mod page;
mod released;
mod taken;
mod taken_page;
#[cfg(test)]
mod tests;
mod topic;

pub use change::Change;
pub use comparison::{Comparison, Download, DownloadPart, Measure, RoomChange, compare};
pub use comparison_page::FileList;
pub use file_change::{FileChange, Tally};
pub use page::{html, markdown, text};
pub use released::{Label, Released, Room};
pub use taken::{Share, Taken, taken};
pub use taken_page::Depth;
pub use topic::Topic;
