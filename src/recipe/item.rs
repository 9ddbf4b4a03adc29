//! What components, kernels and variants alike bring into an image.

use super::{LocalPath, Name, Span, Spanned, Template};
use crate::content::RelPath;

/// One thing that comes into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `file PATH from=|text=`
    File(FileItem),
    /// `tree DIR to=`
    Tree(TreeItem),
    /// `link PATH to=`
    Link(LinkItem),
    /// `dir PATH`
    Directory(DirectoryItem),
    /// `user NAME`
    User(UserItem),
    /// `unit NAME { drop-in … }`
    Unit(UnitItem),
    /// `mask UNIT`
    Mask(Spanned<String>),
    /// `kernel-arg WORD`
    KernelArgument(Spanned<String>),
    /// `kernel-module NAME`: loaded when the image boots.
    KernelModule(Spanned<String>),
    /// `finish NAME { step … }`
    Finish(Finish),
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file beside the recipe.
    From(LocalPath),
    /// The text itself; a missing last newline is added by whoever writes it.
    Text(Spanned<String>),
}

/// Who owns a path: names, never numbers; the lock gives the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group; the user's own when it is not said.
    pub group: Option<String>,
}

/// A file: `file "/usr/lib/sysctl.d/90-acme.conf" text="…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileItem {
    /// Where it comes to stand: absolute.
    pub to: Spanned<Template>,
    /// What it holds.
    pub content: Content,
    /// Its mode, 12 bits; 0644 when it is not said.
    pub mode: Option<Spanned<u16>>,
    /// Its owner; root when it is not said.
    pub owner: Option<Spanned<Owner>>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// A folder beside the recipe with everything in it: `tree "etc" to="/etc"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeItem {
    /// The folder.
    pub from: LocalPath,
    /// Where its content comes to stand: absolute.
    pub to: Spanned<Template>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// A symbolic link: `link "/usr/bin/awk" to="mawk"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkItem {
    /// Where it comes to stand: absolute.
    pub at: Spanned<Template>,
    /// What it says, as it is.
    pub to: Spanned<Template>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// An empty folder: `dir "/var/lib/x" mode=0o700 owner="x"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryItem {
    /// Where it comes to stand: absolute.
    pub at: Spanned<Template>,
    /// Its mode, 12 bits; 0755 when it is not said.
    pub mode: Option<Spanned<u16>>,
    /// Its owner; root when it is not said.
    pub owner: Option<Spanned<Owner>>,
}

/// A system user and the group of the same name: `user "etcd" home="/var/lib/etcd"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserItem {
    /// Its name.
    pub name: Spanned<String>,
    /// Its home, absolute; `/` when it is not said.
    pub home: Option<Spanned<RelPath>>,
    /// Its shell, absolute; none to log in with when it is not said.
    pub shell: Option<Spanned<RelPath>>,
    /// What it is for.
    pub comment: Option<Spanned<String>>,
    /// More groups that it belongs to: `group "kvm"` inside.
    pub groups: Vec<Spanned<String>>,
}

/// Whether a unit is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enablement {
    /// A preset enables it.
    Enabled,
    /// A preset disables it.
    Disabled,
}

/// A systemd unit: `unit "containerd.service" enable=#true { drop-in "10-acme.conf" text="…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitItem {
    /// The unit's name: `containerd.service`.
    pub name: Spanned<String>,
    /// The unit file that this brings: a path with a `/` in it names one beside the recipe, `text=` states it.
    /// `None` for a unit that something else brings.
    pub content: Option<Content>,
    /// `enable=#true|#false`; `None` leaves it as it is.
    pub enable: Option<Spanned<Enablement>>,
    /// Its drop-ins.
    pub drop_ins: Vec<DropIn>,
}

/// A drop-in of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// Its name: `10-acme.conf`.
    pub name: Spanned<String>,
    /// What it says.
    pub content: Content,
    /// The node.
    pub span: Span,
}

/// Commands over the merged tree, which is at `$root`: what maintainer scripts would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// Its name, for people.
    pub name: Spanned<String>,
    /// Components whose programs the commands call; what the tool role `finish` has is there always.
    pub build_with: Vec<Spanned<Name>>,
    /// The commands, in one shell.
    pub commands: Vec<Command>,
}

/// A piece of shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `step "…"`: one line, shown while it runs.
    Step(Spanned<String>),
    /// `script #"""…"""#`: several lines.
    Script(Spanned<String>),
}
