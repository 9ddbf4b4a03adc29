//! What is told while a disk is published.

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What a parent holds is read back.
    ReadsBack { snapshot: String },
    /// A snapshot was begun, or is gone on with.
    Begun { snapshot: String, region: String, sent: usize, of: usize },
    /// So many blocks are sent.
    Sent { done: usize, of: usize },
    /// Something takes a while.
    Waits { what: String, region: String },
    /// An image was registered or copied.
    Made { image: String, region: String },
    /// An image is shared.
    Shared { image: String, region: String },
    /// An image is deprecated from then on.
    Deprecated { image: String, region: String, from: String },
    /// A parameter names an image, and perhaps another one before.
    Named { parameter: String, image: String, region: String, instead: Option<String> },
}
