//! What recipes put at paths of an image.

use crate::content::RelPath;

/// Something that a recipe puts at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub path: RelPath,
    /// What.
    pub what: What,
    /// The mode; `None` is what the content says.
    pub mode: Option<u16>,
    /// The numeric owner and group.
    pub owner: (u32, u32),
    /// The paths that it may take from another owner.
    pub replaces: Vec<RelPath>,
}

/// What is put at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file with this text.
    Text(String),
    /// A local file, by its path as the recipes know it.
    Local(String),
    /// Every file below a local folder.
    LocalTree(String),
    /// A symbolic link.
    Link(String),
    /// A folder.
    Folder,
}

/// A built file that becomes part of the image.
#[derive(Debug, Clone)]
pub struct Install {
    /// The path in the build folder, as the shell sees it.
    pub from: String,
    /// Where it goes.
    pub to: RelPath,
    /// Its mode; `None` is 0755 for what the build made executable, else 0644.
    pub mode: Option<u16>,
    /// The numeric owner and group, where they are not root's; the mode is known then.
    pub owner: Option<(u32, u32)>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<RelPath>,
}
