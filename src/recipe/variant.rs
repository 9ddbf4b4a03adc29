//! Variants: what is composed into an image.

use std::fmt;

use brc_contract::{Architecture, settings::OnUnknown};

use super::{
    Clause, Code, Guarded, Item, Name, Override, PLATFORMS, Setting, Span, Spanned, Switch,
    condition::read_block,
    decode::{Cursor, Reader, Seen},
    kernel_argument::removed_argument,
    names::Space,
    parse::{Node, Value},
    setting::read_settings,
    word::{LayoutWord, TopWord, VariantWord},
};

/// What is composed into an image: `variant "acme-node" { … }`. Its name is `[a-z0-9.-]{1,24}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its name, `[a-z0-9.-]{1,24}`.
    pub name: Spanned<Name>,
    /// `version "1.4.0"`: `[0-9A-Za-z.~^]{1,16}`; not inherited. A variant without one is only there to be extended.
    pub version: Option<Spanned<String>>,
    /// `extends "brc/base" …`: the variants that it builds on.
    pub extends: Vec<Spanned<Name>>,
    /// `arch "x86_64" "aarch64"`: the architectures that it is for, `x86_64` and `aarch64`; the parents' when it is not
    /// said.
    pub architectures: Vec<Spanned<Architecture>>,
    /// `platform "qemu"`: `qemu`, `aws`, `azure`, `gce`, `metal` or `vmware`; the parents' when it is not said, then
    /// `qemu`.
    pub platform: Option<Spanned<String>>,
    /// `feature "debug" on=#true`: turns a feature on or off; with a sentence it declares it too.
    pub features: Vec<FeatureSetting>,
    /// Everything else that its block says, in order.
    pub items: Vec<Guarded<VariantItem>>,
    /// The whole node.
    pub span: Span,
}

/// A feature that a recipe may ask about: `feature "debug" "a console on the serial port" on=#false`.
///
/// Stated at top level or in a variant; every set sees every feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: Spanned<String>,
    /// What it does.
    pub sentence: Spanned<String>,
    /// Whether it is on where no variant says anything.
    pub default: Switch,
}

/// What a variant says about a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSetting {
    /// The feature.
    pub name: Spanned<String>,
    /// On or off.
    pub switch: Spanned<Switch>,
}

/// One node of a variant's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantItem {
    /// `include "runc" "linux-6.12" …`: components, package groups and the kernel, with all that they need.
    Include(Vec<Spanned<Name>>),
    /// `remove "runc" …`: what of that is not in the image; applied last.
    Remove(Vec<Spanned<Name>>),
    /// `kernel-arg-remove "quiet"`: applied last; the word as it was added, or up to its `=`.
    KernelArgumentRemove(Spanned<String>),
    /// `tool "root-filesystem" "erofs-tools"`: who plays a part in making the image: `root-filesystem`, `finish`,
    /// `boot-loader`, `machine` (`brc boot`), `oracle` or `probe` (tests).
    Tool(Tool),
    /// `layout "ab" { … }`: the disk; what one variant leaves open its parents may say.
    Layout(Layout),
    /// `settings unknown="refuse" { motd "acme" }`: what is set as long as no user data says otherwise, nested as a file may be;
    /// texts, whole numbers, `#true` and `#false`. With `unknown="refuse"` nothing counts of user data with a key that there is
    /// not; with `"warn"`, or when it is not said, such keys are told and the others count. [All settings](settings.md).
    Setting(Setting),
    /// What becomes of user data with keys that there are not.
    UnknownSettings(Spanned<OnUnknown>),
    /// `budget root="400MiB"`: the most that the compressed root may have; no more than a slot.
    Budget(Spanned<Bytes>),
    /// `artifact "raw" compress="zstd"`: a file that leaves brc.
    Artifact(Artifact),
    /// `override "runc" { … }`: a change for this variant and its heirs.
    Override(Override),
    /// What components, kernels and variants alike have.
    Common(Item),
}

/// Who plays a part in making the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The part. Which parts there are `graph` knows.
    pub role: Spanned<String>,
    /// The component or package group.
    pub component: Spanned<Name>,
}

/// The disk's layout. What one variant leaves open its parents may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Which layout.
    pub kind: Spanned<LayoutKind>,
    /// `slot max="1GiB"`: the size of one slot's root partition, in blocks of 4 KiB; 1 GiB when it is not said.
    pub slot: Option<Spanned<Bytes>>,
    /// `esp size="256MiB"`: the size of the EFI system partition, from 33 MiB to 4 GiB, in blocks of 4 KiB; when it is not
    /// said as small as its files allow.
    pub esp: Option<Spanned<Bytes>>,
    /// `data fs="xfs" grow=#true`: the partition of `/var`, which the first boot makes.
    pub data: Option<Data>,
}

/// The layouts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutKind {
    /// `"ab"`: two slots, an EFI system partition, and data that the first boot makes.
    Ab,
}

/// The data partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// `fs="xfs"`: its file system, `ext4` or `xfs`; `ext4` when it is not said.
    pub file_system: Option<Spanned<FileSystem>>,
    /// `grow=#false`: it has at most 1 GiB; it grows to the end of the disk when it is not said.
    pub grow: Option<Spanned<Switch>>,
    /// `disk="same"`: which disk it lies on: that of the system, also when it is not said; `separate`, a second one, which an
    /// AMI has as `/dev/xvdb` and the agent (`brc/settings`) finds.
    pub disk: Option<Spanned<DataDisk>>,
    /// `size="20GiB"`: what the second disk has where nobody says more, in whole GiB up to 16 TiB; 20 GiB when it is not
    /// said.
    pub size: Option<Spanned<Bytes>>,
    /// The node.
    pub span: Span,
}

/// The file systems that a data partition can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Written `ext4`.
    Ext4,
    /// Written `xfs`.
    Xfs,
}

/// The disk that data lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataDisk {
    /// Written `same`: that of the system.
    Same,
    /// Written `separate`: one of its own.
    Separate,
}

/// A file that leaves brc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Which form.
    pub kind: Spanned<ArtifactKind>,
    /// `compress="zstd"`: `zstd`, as one stream, or `none`; `none` when it is not said.
    pub compression: Option<Spanned<ArtifactCompression>>,
}

/// The forms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKind {
    /// `"raw"`: the disk as it is.
    Raw,
}

/// How an artifact is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactCompression {
    /// Not at all.
    Plain,
    /// As one zstd stream.
    Zstd,
}

/// A size is a text: a whole number of `KiB`, `MiB`, `GiB` or `TiB`, such as `"400MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// What of a variant no condition can decide, gathered while its block is read.
#[derive(Default)]
struct Head {
    version: Option<Spanned<String>>,
    extends: Vec<Spanned<Name>>,
    architectures: Vec<Spanned<Architecture>>,
    platform: Option<Spanned<String>>,
    features: Vec<FeatureSetting>,
}

impl Variant {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Variant);
        let name = cursor.text(reader, "a name").and_then(|name| variant_name(reader, name));
        let mut head = Head::default();
        let items = read_block(reader, cursor.block(), &[], &mut |reader, node, word, when| match word {
            Some(word) => head.read(reader, node, word, when),
            None => Item::read::<VariantWord>(reader, node).map(VariantItem::Common).into_iter().collect(),
        });
        cursor.finish(reader);
        let Head { version, extends, architectures, platform, features } = head;
        Some(Variant { name: name?, version, extends, architectures, platform, features, items, span: node.span })
    }
}

/// `[a-z0-9.-]{1,24}`, a letter or number first and last: it becomes part of partition labels, of 36 letters with the version.
fn variant_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<Name>> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |c: char| plain(c) || c == '-' || c == '.';
    if name.len() > 24 || !name.starts_with(plain) || !name.ends_with(plain) || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a variant", name.value);
        reader.error(Code::BadName, name.span, message, "names of variants are `[a-z0-9.-]{1,24}`");
        return None;
    }
    Some(name.map(|name| Name::new(reader.set, name)))
}

/// `[0-9A-Za-z.~^]{1,16}`: it is compared as UAPI.10 says and stands in partition labels.
fn image_version(reader: &mut Reader<'_>, version: Spanned<String>) -> Option<Spanned<String>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '~' | '^');
    if version.is_empty() || version.len() > 16 || !version.chars().all(fits) {
        let message = format!("`{}` cannot be the version of an image", version.value);
        reader.error(Code::BadVersion, version.span, message, "versions of images are `[0-9A-Za-z.~^]{1,16}`");
        return None;
    }
    Some(version)
}

impl Head {
    /// Reads a node: what no condition can decide is gathered here, everything else is given back.
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node<'_>,
        word: VariantWord,
        when: &[Clause],
    ) -> Vec<VariantItem> {
        if is_asked_about(word) && !when.is_empty() {
            let message = format!("`{}` cannot depend on a condition", node.name);
            reader.error(Code::Unconditional, node.name_span, message, "conditions ask about it: write it outside");
        }
        let cursor = &mut Cursor::new(reader, node, word);
        let item = match word {
            VariantWord::Version => {
                let text = cursor.text(reader, "a version");
                self.version = text.and_then(|text| image_version(reader, text)).or(self.version.take());
                None
            }
            VariantWord::Extends => {
                let texts = cursor.texts(reader, "the name of a variant");
                self.extends.extend(texts.iter().filter_map(|text| reader.reference(text, Space::Variant)));
                None
            }
            VariantWord::Arch => {
                self.read_architectures(reader, cursor);
                None
            }
            VariantWord::Platform => {
                self.read_platform(reader, cursor);
                None
            }
            VariantWord::Feature => {
                self.features.extend(FeatureSetting::read(reader, cursor));
                None
            }
            VariantWord::Include => Some(VariantItem::Include(reader.references(cursor, Space::Component))),
            VariantWord::Remove => Some(VariantItem::Remove(reader.references(cursor, Space::Component))),
            VariantWord::KernelArgumentRemove => {
                removed_argument(reader, cursor).map(VariantItem::KernelArgumentRemove)
            }
            VariantWord::Tool => Tool::read(reader, cursor).map(VariantItem::Tool),
            VariantWord::Layout => Layout::read(reader, cursor).map(VariantItem::Layout),
            VariantWord::Settings => {
                let (unknown, settings) = read_settings(reader, cursor);
                let unknown = unknown.into_iter().map(VariantItem::UnknownSettings);
                return unknown.chain(settings.into_iter().map(VariantItem::Setting)).collect();
            }
            VariantWord::Budget => {
                let size = cursor.required_property(reader, "root");
                size.and_then(|text| Bytes::read(reader, text)).map(VariantItem::Budget)
            }
            VariantWord::Artifact => Artifact::read(reader, cursor).map(VariantItem::Artifact),
            VariantWord::Override => Override::read(reader, cursor).map(VariantItem::Override),
        };
        cursor.finish(reader);
        item.into_iter().collect()
    }

    fn read_architectures(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) {
        for text in cursor.texts(reader, "an architecture") {
            match Architecture::from_name(&text) {
                Some(architecture) => self.architectures.push(Spanned::new(architecture, text.span)),
                None => reader.one_of(&text, "an architecture", &["x86_64", "aarch64"]),
            }
        }
    }

    fn read_platform(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) {
        let Some(text) = cursor.text(reader, "a platform") else { return };
        match PLATFORMS.contains(&text.as_str()) {
            true => self.platform = Some(text),
            false => reader.one_of(&text, "a platform", &PLATFORMS),
        }
    }
}

/// Whether conditions ask about what a node says, so that none can decide it.
fn is_asked_about(word: VariantWord) -> bool {
    match word {
        VariantWord::Version
        | VariantWord::Extends
        | VariantWord::Arch
        | VariantWord::Platform
        | VariantWord::Feature => true,
        VariantWord::Include
        | VariantWord::Remove
        | VariantWord::KernelArgumentRemove
        | VariantWord::Tool
        | VariantWord::Layout
        | VariantWord::Settings
        | VariantWord::Budget
        | VariantWord::Artifact
        | VariantWord::Override => false,
    }
}

impl Feature {
    /// Reads a declaration: a `feature` node that has a sentence; `None` for one that only switches.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Feature);
        let name = cursor.text(reader, "the name of a feature").and_then(|name| feature_name(reader, name));
        let sentence = cursor.text(reader, "a sentence that says what the feature does");
        let default = cursor.switch_property(reader, "on").map_or(Switch::Off, |switch| switch.value);
        cursor.finish(reader);
        Some(Feature { name: name?, sentence: sentence?, default })
    }

    /// What a `feature` node of a variant declares; the node itself is checked by [`FeatureSetting`].
    pub(super) fn in_variant(node: &Node<'_>) -> Option<Self> {
        let (name, span) = Self::declared(node)?;
        let sentence = node.entries.iter().filter(|entry| entry.name.is_none()).nth(1)?;
        let Value::Text(text) = &sentence.value else { return None };
        Some(Feature {
            name: Spanned::new(name.to_owned(), span),
            sentence: Spanned::new(text.clone().into_owned(), sentence.span),
            default: Switch::Off,
        })
    }

    /// The name that a node declares, where it declares one.
    pub(super) fn declared<'n>(node: &'n Node<'_>) -> Option<(&'n str, Span)> {
        let mut arguments = node.entries.iter().filter(|entry| entry.name.is_none());
        match (arguments.next()?, arguments.next()?) {
            (name, _) if node.name == "feature" => match &name.value {
                Value::Text(text) => Some((text.as_ref(), name.span)),
                _ => None,
            },
            _ => None,
        }
    }
}

fn feature_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<String>> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a feature", name.value);
        reader.error(Code::BadName, name.span, message, "names of features are `[a-z0-9-]{1,64}`");
        return None;
    }
    Some(name)
}

impl FeatureSetting {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.text(reader, "the name of a feature").and_then(|name| feature_name(reader, name));
        let sentence = cursor.optional_text(reader, "a sentence");
        let switch = cursor.switch_property(reader, "on");
        let name = name?;
        if !reader.names.features.contains_key(&name.value) && !reader.names.unread.contains(&name.value) {
            let message = format!("no recipe declares a feature `{}`", name.value);
            let features = reader.names.features.keys().map(String::as_str);
            let help = match reader.patience.nearest(&name, features) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("declare it: `feature \"{}\" \"what it does\"`", name.value),
            };
            reader.error(Code::UnknownFeature, name.span, message, help);
        }
        let switch = switch.or(sentence.map(|sentence| Spanned::new(Switch::Off, sentence.span)));
        let Some(switch) = switch else {
            let message = format!("`feature \"{}\"` does not say whether it is on", name.value);
            reader.error(Code::MissingProperty, name.span, message, "write `on=#true` or `on=#false`");
            return None;
        };
        Some(FeatureSetting { name, switch })
    }
}

impl Tool {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let role = cursor.text(reader, "a role");
        let component = cursor.text(reader, "the name of a component");
        let component = component.and_then(|name| reader.reference(&name, Space::Component));
        let component = component.filter(|name| reader.is_part(name, "tool"));
        Some(Tool { role: role?, component: component? })
    }
}

impl Layout {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let kind = cursor.text(reader, "the name of a layout").and_then(|kind| match kind.as_str() {
            "ab" => Some(Spanned::new(LayoutKind::Ab, kind.span)),
            "single" | "live" => {
                let message = format!("layout `{}` is known, but this version of brc does not do it yet", kind.value);
                reader.error(Code::NotYet, kind.span, message, "write `layout \"ab\"`");
                None
            }
            _ => {
                reader.one_of(&kind, "a layout", &["ab"]);
                None
            }
        });
        let (mut slot, mut esp, mut data) = (None, None, None);
        let mut seen = Seen::new();
        for node in cursor.block() {
            let Some(word) = reader.word(node, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, node, word);
            match word {
                LayoutWord::Slot => {
                    slot = inner.required_property(reader, "max").and_then(|text| Bytes::read(reader, text))
                }
                LayoutWord::Esp => {
                    esp = inner.required_property(reader, "size").and_then(|text| Bytes::read(reader, text))
                }
                LayoutWord::Data => data = Some(Data::read(reader, &mut inner)),
            }
            inner.finish(reader);
        }
        Some(Layout { kind: kind?, slot, esp, data })
    }
}

impl Data {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Self {
        let file_systems = [("ext4", FileSystem::Ext4), ("xfs", FileSystem::Xfs)];
        let file_system = cursor.text_property(reader, "fs");
        let file_system =
            file_system.and_then(|text| reader.choice(&text, "a file system of data partitions", &file_systems));
        let disks = [("same", DataDisk::Same), ("separate", DataDisk::Separate)];
        let disk = cursor.text_property(reader, "disk");
        let disk = disk.and_then(|text| reader.choice(&text, "a disk that data lies on", &disks));
        let size = cursor.text_property(reader, "size").and_then(|text| Bytes::read_volume(reader, text));
        Data { file_system, grow: cursor.switch_property(reader, "grow"), disk, size, span: cursor.node.span }
    }
}

impl Artifact {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let kind = cursor.text(reader, "the form of an artifact").and_then(|kind| match kind.as_str() {
            "raw" => Some(Spanned::new(ArtifactKind::Raw, kind.span)),
            "qcow2" | "vmdk" | "vhd" | "ova" | "gce" | "iso" | "pxe" | "oci" | "ami" | "sbom" | "update" => {
                let message = format!("artifact `{}` is known, but this version of brc does not do it yet", kind.value);
                reader.error(Code::NotYet, kind.span, message, "write `artifact \"raw\"`");
                None
            }
            _ => {
                reader.one_of(&kind, "a form of artifacts", &["raw"]);
                None
            }
        });
        let compressions = [("none", ArtifactCompression::Plain), ("zstd", ArtifactCompression::Zstd)];
        let compression = cursor.text_property(reader, "compress");
        let compression = compression.and_then(|text| reader.choice(&text, "a compression", &compressions));
        Some(Artifact { kind: kind?, compression })
    }
}

/// The units of sizes and how far each shifts a number of bytes.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl fmt::Display for Bytes {
    /// Writes the size as recipes do, in the largest unit of which it is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().rev().find(|(_, shift)| self.0.is_multiple_of(1 << shift)) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl Bytes {
    /// Reads the size of a volume: a whole number of GiB, up to 16 TiB.
    pub(super) fn read_volume(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<Bytes>> {
        let size = Bytes::read(reader, text)?;
        let fits = size.0.is_multiple_of(1 << 30) && size.0 <= 16 << 40;
        if !fits {
            let message = format!("a volume of {} cannot be had", size.value);
            reader.error(Code::BadSize, size.span, message, "write whole `GiB`, up to `16TiB`");
        }
        fits.then_some(size)
    }

    /// Reads `400MiB`: a whole number of KiB, MiB, GiB or TiB, at least one.
    fn read(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<Bytes>> {
        let found = UNITS.iter().find_map(|(unit, shift)| {
            let number = text.strip_suffix(unit)?;
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = if digits { number.parse().ok()? } else { return None };
            let bytes = number.checked_mul(1 << shift)?;
            // The largest disk that anything here can describe.
            (bytes > 0 && bytes <= 1 << 50).then_some(Bytes(bytes))
        });
        if found.is_none() {
            let message = format!("`{}` is not a size", text.value);
            reader.error(Code::BadSize, text.span, message, "write a whole number of `KiB`, `MiB`, `GiB` or `TiB`");
        }
        found.map(|bytes| Spanned::new(bytes, text.span))
    }
}
