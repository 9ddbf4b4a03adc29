//! What components, kernels and variants alike bring into an image.

use super::{
    BuildSystemStep, Code, Diagnostic, LocalPath, Name, Presence, Span, Spanned, Switch, Template,
    decode::{Cursor, Reader, Seen},
    health::HealthItem,
    kernel_argument::kernel_argument,
    parse::Node,
    unit_name::{name_of, unit_name},
    user::{Owner, UserItem, owner, user_name},
    word::{FinishWord, GuardWord, ItemWord, PlacedWord, UnitWord, Word},
};
use crate::content::RelPath;

/// What comes into the image as it is said here, wherever it is said. What lies below `/var` is made on the data partition
/// at boot, where it is not there yet; below `/dev`, `/efi`, `/proc`, `/run`, `/sys` and `/tmp` nobody would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `file "/etc/a" text="…"`: a file; braces of its path are filled.
    File(FileItem),
    /// `tree "etc" to="/etc"`: a folder beside the recipe with everything in it.
    Tree(TreeItem),
    /// `link "/usr/bin/awk" to="mawk"`: a symbolic link.
    Link(LinkItem),
    /// `dir "/var/lib/a" mode=0o700 owner="a"`: an empty folder.
    Directory(DirectoryItem),
    /// `user "etcd" home="/var/lib/etcd"`: a system user and the group of the same name; the lock gives the numbers.
    User(UserItem),
    /// `group "vm-users"`: a system group; the lock gives the number.
    Group(Spanned<String>),
    /// `template "/etc/motd" text="{{ settings.motd }}"`: a file that settings make on the machine, at boot and whenever they
    /// change; the component needs `brc/settings`.
    Template(MadeFile),
    /// `embed-image "images/pause.tar"`: an OCI archive beside the recipe whose images containerd has from the first start on,
    /// without a network; checked when composing, for the image's architecture. The component needs `brc/containerd` or
    /// `brc/containerd-debian`.
    EmbedImage(EmbeddedImage),
    /// `health "api" http="http://127.0.0.1:8080/healthz" within="60s"`: what must be so before a boot is found healthy, and
    /// the version that runs stays.
    Health(HealthItem),
    /// `unit "a.service" enable=#true { drop-in "10-x.conf" text="…" }`: a systemd unit that something brings; `text=`
    /// brings it, and so does a path with a `/` in it, which names a file beside the recipe.
    Unit(UnitItem),
    /// `mask "a.service"`: a unit that never starts; a warning where it is not in the image.
    Mask(Spanned<String>),
    /// `setuid "/usr/bin/sudo" … reason="…"`: files of packages or builds that keep their setuid or setgid bit, or their
    /// file capabilities. Any other such file is an error, but for one whose `mode=` says so.
    Setuid(SetuidItem),
    /// `kernel-arg "console=ttyS0"`: one word of the kernel's command line, none of those that brc itself writes.
    KernelArgument(Spanned<String>),
    /// `kernel-module "vhost_vsock"`: a module that is loaded when the image boots.
    KernelModule(Spanned<String>),
    /// `finish "name" { step "…" }`: commands over the merged tree, which is at `$root`: what maintainer scripts would
    /// have done.
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

/// A file: `file "/usr/lib/sysctl.d/90-acme.conf" text="…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileItem {
    /// Where it comes to stand: absolute.
    pub to: Spanned<Template>,
    /// `text="…"` or `from="a.conf"`: what it holds, or the file beside the recipe that does; a text gets a last newline
    /// where it has none.
    pub content: Content,
    /// `mode=0o600`: its mode, octal, 12 bits; 0644 when it is not said.
    pub mode: Option<Spanned<u16>>,
    /// `owner="user:group"`: names, never numbers; root when it is not said, the user's own group when that is not.
    pub owner: Option<Spanned<Owner>>,
    /// `replaces="/usr/bin/awk"`: paths that it may take from another owner, also as a node `{ replaces "/a" "/b" }`.
    /// Without it two owners of a path are an error.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// A folder beside the recipe with everything in it: `tree "etc" to="/etc"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeItem {
    /// The folder.
    pub from: LocalPath,
    /// `to="/etc"`: where its content comes to stand, absolute; `/` lays it over the root.
    pub to: Spanned<Template>,
    /// `replaces="/usr/bin/awk"`: paths that it may take from another owner, also as a node `{ replaces "/a" "/b" }`.
    /// Without it two owners of a path are an error.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// A symbolic link: `link "/usr/bin/awk" to="mawk"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkItem {
    /// Where it comes to stand: absolute.
    pub at: Spanned<Template>,
    /// `to="mawk"`: what it says, as it is.
    pub to: Spanned<Template>,
    /// `replaces="/usr/bin/awk"`: paths that it may take from another owner, also as a node `{ replaces "/a" "/b" }`.
    /// Without it two owners of a path are an error.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// An archive with images of containers: `embed-image "images/pause.tar"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedImage {
    /// The OCI archive.
    pub file: LocalPath,
    /// `on="data"`: it lies on the disk for data, which then comes with it (`layout "ab" { data disk="separate" }`), and takes
    /// no room in the root; what a disk for data that did not come with the image lacks is pulled. `root` when it is not said.
    pub on: Option<Spanned<Carrier>>,
}

/// What an archive with images of containers comes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Written `root`.
    Root,
    /// Written `data`.
    Data,
}

/// An empty folder: `dir "/var/lib/x" mode=0o700 owner="x"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryItem {
    /// Where it comes to stand: absolute.
    pub at: Spanned<Template>,
    /// `mode=0o700`: its mode, octal, 12 bits; 0755 when it is not said.
    pub mode: Option<Spanned<u16>>,
    /// `owner="user:group"`: names, never numbers; root when it is not said, the user's own group when that is not.
    pub owner: Option<Spanned<Owner>>,
    /// `replaces="/var/lib/x"`: paths whose mode and owner another one says, also as a node `{ replaces "/a" "/b" }`.
    /// Without it two that say different ones are an error.
    pub replaces: Vec<Spanned<RelPath>>,
}

/// Files that may run as somebody else than whoever starts them: `setuid "/usr/bin/sudo" reason="…"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetuidItem {
    /// The files.
    pub paths: Vec<Spanned<RelPath>>,
    /// `reason="…"`: why, for people; required.
    pub reason: Spanned<String>,
}

/// Whether a unit is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enablement {
    /// A preset enables it.
    Enabled,
    /// A preset disables it.
    Disabled,
}

/// A file that settings make: `template "/etc/motd" text="{{ settings.motd }}" restart="a.service"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    /// Where it comes to stand: absolute, below `/etc`. With a `/` at its end it is a folder: lines `==> NAME <==` begin its
    /// files.
    pub to: Spanned<Template>,
    /// `text="…"` or `from="motd.j2"`: the template, or the file beside the recipe that holds it; of Jinja's language, and
    /// what it asks for is `settings`, with `_` for `-`.
    pub content: Content,
    /// `mode=0o600`: the mode of what is made, octal, 12 bits; 0644 when it is not said.
    pub mode: Option<Spanned<u16>>,
    /// `restart="containerd.service"`: the unit that is started anew when the file changes while it runs.
    pub restart: Option<Spanned<String>>,
}

/// A systemd unit: `unit "containerd.service" enable=#true { drop-in "10-acme.conf" text="…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitItem {
    /// The unit's name: `containerd.service`.
    pub name: Spanned<String>,
    /// `text="…"`: the unit file that this brings; a path with a `/` in place of the name is a file beside the recipe.
    /// Without either something else brings the unit.
    pub content: Option<Content>,
    /// `enable=#true`: a preset enables it, with `#false` a preset disables it; when it is not said nothing changes. Of a
    /// template an instance is enabled: `tick@a.service`. One that is not there, or that nothing starts, is an error.
    pub enable: Option<Spanned<Enablement>>,
    /// `drop-in "10-acme.conf" text="…"`: inside its block, a file in the unit's `.d` folder; `.conf` at its end.
    pub drop_ins: Vec<DropIn>,
}

/// A drop-in of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// Its name: `10-acme.conf`.
    pub name: Spanned<String>,
    /// `text="…"` or `from="10-acme.conf"`: what it says, or the file beside the recipe that does.
    pub content: Content,
    /// The node.
    pub span: Span,
}

/// Commands over the merged tree, which is at `$root`: what maintainer scripts would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// Its name, for people.
    pub name: Spanned<String>,
    /// `build-with "python" …`: tool sets whose programs the commands call; the tool `finish` is there always.
    pub build_with: Vec<Spanned<Name>>,
    /// The commands, in one shell.
    pub commands: Vec<Command>,
}

/// A piece of shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `step "make VERSION=$version"`: one line of shell, shown while it runs; all steps share one shell, which stops
    /// at the first failure (`sh -eu`).
    Step(Spanned<String>),
    /// `script #"""…"""#`: several lines of shell.
    Script(Spanned<String>),
    /// A build system as one word; only in components.
    System(BuildSystemStep),
}

impl Item {
    /// Reads a node that is none of the words that only `W`, a block of components, kernels or variants, has; reports
    /// one that they do not have in common either.
    pub(super) fn read<W: Word>(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Item> {
        let Some(word) = ItemWord::of(&node.name) else {
            reader.unknown_node(node, W::PLACE, &[W::TEXTS, ItemWord::TEXTS, GuardWord::TEXTS]);
            return None;
        };
        let mut cursor = Cursor::new(reader, node, word);
        let item = match word {
            ItemWord::File => FileItem::read(reader, &mut cursor).map(Item::File),
            ItemWord::Tree => TreeItem::read(reader, &mut cursor).map(Item::Tree),
            ItemWord::Link => LinkItem::read(reader, &mut cursor).map(Item::Link),
            ItemWord::Directory => DirectoryItem::read(reader, &mut cursor).map(Item::Directory),
            ItemWord::User => UserItem::read(reader, &mut cursor).map(Item::User),
            ItemWord::Group => {
                let name = cursor.text(reader, "the name of a group");
                name.and_then(|name| user_name(reader, name, "a group")).map(Item::Group)
            }
            ItemWord::Setuid => SetuidItem::read(reader, &mut cursor).map(Item::Setuid),
            ItemWord::Template => MadeFile::read(reader, &mut cursor).map(Item::Template),
            ItemWord::EmbedImage => EmbeddedImage::read(reader, &mut cursor).map(Item::EmbedImage),
            ItemWord::Health => HealthItem::read(reader, &mut cursor).map(Item::Health),
            ItemWord::Unit => UnitItem::read(reader, &mut cursor).map(Item::Unit),
            ItemWord::Mask => cursor.text(reader, "a unit").and_then(|unit| unit_name(reader, unit)).map(Item::Mask),
            ItemWord::KernelArgument => kernel_argument(reader, &mut cursor).map(Item::KernelArgument),
            ItemWord::KernelModule => cursor.text(reader, "a module").and_then(|name| {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                name_of(reader, name, "a module", fits).map(Item::KernelModule)
            }),
            ItemWord::Finish => Finish::read(reader, &mut cursor).map(Item::Finish),
        };
        cursor.finish(reader);
        item
    }
}

/// The paths that may be taken from others: `replaces="/a"`, or a node `replaces "/a" "/b"` inside.
pub(super) fn replaces(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Vec<Spanned<RelPath>> {
    let mut paths: Vec<Spanned<RelPath>> = reader.path_property(cursor, "replaces").into_iter().collect();
    let mut seen = Seen::new();
    for node in cursor.block() {
        let Some(word @ PlacedWord::Replaces) = reader.word(node, &mut seen) else { continue };
        let mut inner = Cursor::new(reader, node, word);
        let texts = inner.texts(reader, "a path");
        paths.extend(texts.into_iter().filter_map(|text| reader.plain_path(text)));
        inner.finish(reader);
    }
    paths
}

/// `from="…"` or `text="…"`: one of them.
fn content(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Content> {
    let from = cursor.text_property(reader, "from");
    let text = cursor.text_property(reader, "text");
    match (from, text) {
        (Some(from), None) => reader.local(from, Presence::File).map(Content::From),
        (None, Some(text)) => Some(Content::Text(text)),
        (Some(_), Some(text)) => {
            let message = format!("`{}` has `from=` and `text=`", cursor.node.name);
            reader.error(Code::ContentTwice, text.span, message, "leave one out");
            None
        }
        (None, None) => {
            if cursor
                .node
                .entries
                .iter()
                .all(|entry| entry.name.as_ref().is_none_or(|(name, _)| name != "from" && name != "text"))
            {
                let message = format!("`{}` wants `from=` or `text=`", cursor.node.name);
                reader.error(Code::MissingProperty, cursor.place(), message, "write `from=\"FILE\"` or `text=\"…\"`");
            }
            None
        }
    }
}

impl FileItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let to = cursor.text(reader, "a path of the image").and_then(|text| reader.image_path(text));
        let content = content(reader, cursor);
        let (mode, owner, replaces) = (reader.mode(cursor), owner(reader, cursor), replaces(reader, cursor));
        Some(FileItem { to: to?, content: content?, mode, owner, replaces })
    }
}

impl TreeItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let from = cursor.text(reader, "a folder").and_then(|text| reader.local(text, Presence::Folder));
        let to = cursor.required_property(reader, "to");
        // A whole tree may be laid over the root.
        let to = to.and_then(|text| match text.as_str() {
            "/" => reader.template(text),
            _ => reader.image_path(text),
        });
        let replaces = replaces(reader, cursor);
        Some(TreeItem { from: from?, to: to?, replaces })
    }
}

impl LinkItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let at = cursor.text(reader, "a path of the image").and_then(|text| reader.image_path(text));
        let to = cursor.required_property(reader, "to").and_then(|text| {
            if text.is_empty() || text.len() > 4095 {
                let message = "a link says 1 to 4095 bytes";
                reader.problems.push(Diagnostic::error(Code::BadValue, text.span, message));
                return None;
            }
            if reader.has_control_character(&text, "what a link says") {
                return None;
            }
            reader.template(text)
        });
        let replaces = replaces(reader, cursor);
        Some(LinkItem { at: at?, to: to?, replaces })
    }
}

impl DirectoryItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let at = cursor.text(reader, "a path of the image").and_then(|text| reader.image_path(text));
        let (mode, owner, replaces) = (reader.mode(cursor), owner(reader, cursor), replaces(reader, cursor));
        Some(DirectoryItem { at: at?, mode, owner, replaces })
    }
}

impl SetuidItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let texts = cursor.texts(reader, "a path of the image");
        let paths = texts.into_iter().filter_map(|text| reader.plain_path(text)).collect();
        let reason = cursor.required_property(reader, "reason").and_then(|text| reader.reason(text))?;
        Some(SetuidItem { paths, reason })
    }
}

impl EmbeddedImage {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let file = cursor.text(reader, "a file").and_then(|file| reader.local(file, Presence::File));
        let carriers = [("root", Carrier::Root), ("data", Carrier::Data)];
        let on = cursor.text_property(reader, "on");
        let on = on.and_then(|text| reader.choice(&text, "what images of containers come on", &carriers));
        Some(EmbeddedImage { file: file?, on })
    }

    /// Whether it lies on the disk for data.
    pub fn is_on_data(&self) -> bool {
        self.on.is_some_and(|on| on.value == Carrier::Data)
    }
}

impl MadeFile {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let to = cursor.text(reader, "a path of the machine").and_then(|text| made_place(reader, text));
        let content = content(reader, cursor);
        let mode = reader.mode(cursor);
        let restart = cursor.text_property(reader, "restart").and_then(|unit| unit_name(reader, unit));
        Some(MadeFile { to: to?, content: content?, mode, restart })
    }

    /// Whether it is a folder with files.
    pub fn is_folder(&self) -> bool {
        self.to.to_string().ends_with('/')
    }
}

/// A path below `/etc`, of a file or, with a `/` at its end, of a folder.
fn made_place(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<Template>> {
    let span = text.span;
    let is_folder = text.ends_with('/');
    let plain = Spanned::new(text.trim_end_matches('/').to_owned(), span);
    let template = reader.image_path(plain)?;
    if !template.to_string().starts_with("/etc/") {
        let message = format!("`{}` is not below `/etc`, where alone settings make files", text.value);
        reader.error(Code::BadPath, span, message, "write a path below `/etc`, or a `file`");
        return None;
    }
    if is_folder { reader.template(Spanned::new(format!("{}/", template.value), span)) } else { Some(template) }
}

impl UnitItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let written = cursor.text(reader, "a unit");
        let text = cursor.text_property(reader, "text");
        let enable = cursor.switch_property(reader, "enable").map(|switch| {
            switch.map(|switch| if switch == Switch::On { Enablement::Enabled } else { Enablement::Disabled })
        });
        let mut drop_ins = Vec::new();
        let mut seen = Seen::new();
        for node in cursor.block() {
            let Some(word @ UnitWord::DropIn) = reader.word(node, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, node, word);
            drop_ins.extend(DropIn::read(reader, &mut inner));
            inner.finish(reader);
        }
        let written = written?;
        let (content, name) = match written.rsplit_once('/') {
            Some((_, name)) => {
                let name = Spanned::new(name.to_owned(), written.span);
                if let Some(text) = &text {
                    let message = "the unit's file is named and its `text=` is stated";
                    reader.error(Code::ContentTwice, text.span, message, "leave one out");
                }
                (reader.local(written, Presence::File).map(Content::From), name)
            }
            None => (text.map(Content::Text), written),
        };
        Some(UnitItem { name: unit_name(reader, name)?, content, enable, drop_ins })
    }
}

impl DropIn {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.text(reader, "the name of a file").and_then(|name| {
            let fits = |c: char| c.is_ascii_graphic() && c != '/';
            let name = name_of(reader, name, "a drop-in", fits)?;
            if !name.ends_with(".conf") {
                let message = format!("systemd reads no drop-in `{}`: it does not end in `.conf`", name.value);
                reader.error(Code::BadName, name.span, message, format!("`{}.conf`?", name.value));
                return None;
            }
            Some(name)
        });
        let content = content(reader, cursor);
        Some(DropIn { name: name?, content: content?, span: cursor.node.span })
    }
}

impl Finish {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.text(reader, "a name").and_then(|name| {
            name_of(reader, name, "a finish step", |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        });
        let (mut build_with, mut commands) = (Vec::new(), Vec::new());
        let mut seen = Seen::new();
        for node in cursor.block() {
            let Some(word) = reader.word(node, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, node, word);
            match word {
                FinishWord::Step => commands.extend(Command::step(reader, &mut inner)),
                FinishWord::Script => commands.extend(Command::script(reader, &mut inner)),
                FinishWord::BuildWith => build_with.extend(reader.parts(&mut inner)),
            }
            inner.finish(reader);
        }
        let name = name?;
        if cursor.node.children.as_ref().is_none_or(Vec::is_empty) {
            let message = format!("`finish \"{}\"` does nothing", name.value);
            reader.error(Code::MissingNode, cursor.place(), message, "write `{ step \"…\" }`");
            return None;
        }
        Some(Finish { name, build_with, commands })
    }
}

impl Command {
    /// Reads a `step`.
    pub(super) fn step(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        shell(reader, cursor).map(Command::Step)
    }

    /// Reads a `script`.
    pub(super) fn script(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        shell(reader, cursor).map(Command::Script)
    }
}

fn shell(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Spanned<String>> {
    let text = cursor.text(reader, "a piece of shell")?;
    let name = &cursor.node.name;
    reader.no_braces(&text, &format!("`{name}`"));
    if text.trim().is_empty() || text.contains('\0') {
        let message = format!("this `{name}` does nothing");
        reader.problems.push(Diagnostic::error(Code::BadValue, text.span, message));
        return None;
    }
    Some(text)
}
