//! Keys: the digest of everything that an action's performer can see; and the same as facts, for people.

use std::{collections::BTreeMap, fmt};

use brc_contract::Architecture;

use super::{
    Action, Assemble, BootFile, Compression, Extract, Fetch, FileOf, Initramfs, Network, Output, Pack, PartSource,
    RootLayer, Run, Slot, Stdin,
};
use crate::content::{Digest, RelPath};

/// The version of the key's format; a change makes every action run again.
const FORMAT: u64 = 2;

/// Names a resolved action together with its performer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Digest);

impl Key {
    /// The key as a digest, for file names.
    pub fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.short())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an action's key was made from, under a name that people understand: ``input `source` ``,
/// ``variable `CC` ``. What is stated many times under one name is one text of many lines.
pub type Facts = BTreeMap<String, Fact>;

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A tree that the action takes.
    Tree(Digest),
    /// Anything else.
    Text(String),
}

/// The key of `action` when `performer` (name and version) performs it.
pub fn key(performer: &str, action: &Action<Digest>) -> Key {
    Key(Digest::of(&fields(performer, action, None).bytes))
}

/// What the key of `action` is made from; only the order of inputs is not told.
pub fn facts(performer: &str, action: &Action<Digest>) -> Facts {
    fields(performer, action, Some(Facts::new())).facts.unwrap_or_default()
}

fn fields(performer: &str, action: &Action<Digest>, facts: Option<Facts>) -> Fields {
    let mut fields = Fields { bytes: Vec::with_capacity(1024), facts, topic: None };
    fields.number("format", FORMAT);
    fields.text("performer", performer);
    match action {
        Action::Fetch(fetch) => fetch_fields(&mut fields, fetch),
        Action::Run(run) => run_fields(&mut fields, run),
        Action::Assemble(assemble) => assemble_fields(&mut fields, assemble),
        Action::Pack(pack) => pack_fields(&mut fields, pack),
    }
    fields
}

fn fetch_fields(fields: &mut Fields, fetch: &Fetch) {
    match fetch {
        Fetch::Debian(package) => {
            fields.text("action", "fetch debian");
            fields.bytes("sha256", package.sha256.as_bytes());
            fields.number("size", package.size);
        }
        Fetch::DebianSource(source) => {
            fields.text("action", "fetch debian source");
            for file in &source.files {
                fields.bytes("sha256", file.sha256.as_bytes());
                fields.number("size", file.size);
                fields.path("at", &file.at);
            }
        }
        Fetch::Url(file) => {
            fields.text("action", "fetch url");
            fields.bytes("sha256", file.sha256.as_bytes());
            match file.extract {
                Extract::Keep => fields.text("keep", &file.name),
                Extract::Archive => fields.text("extract", "archive"),
            }
        }
    }
}

fn run_fields(fields: &mut Fields, run: &Run<Digest>) {
    if let Network::Fetching { expected: Some(tree) } = run.network {
        // However it comes, it is this tree: neither another tool nor another server makes it another one.
        fields.text("action", "fetch tree");
        fields.digest("tree", tree);
        return;
    }
    fields.text("action", "run");
    for input in &run.inputs {
        fields.about("input", &input.owner);
        fields.digest("input", input.tree);
        fields.path("at", &input.at);
    }
    for word in &run.command {
        fields.about("command", "");
        fields.text("word", word);
    }
    for (name, value) in run.environment.iter() {
        fields.named("variable", name);
        fields.text("value", value);
    }
    fields.about_all();
    fields.path("directory", &run.directory);
    if let Some(Stdin::ArchiveOf(tree)) = &run.stdin {
        fields.digest("stdin archive", *tree);
    }
    for (name, output) in &run.outputs {
        fields.raw("output", name.as_bytes());
        let (kind, field, path) = match output {
            Output::Folder(path) => ("output", "folder", path),
            Output::Changed(path) => ("changed output", "changed", path),
        };
        fields.about(kind, name);
        fields.path(field, path);
    }
    if let Network::Fetching { expected: None } = run.network {
        fields.text("network", "fetching");
    }
    fields.about_all();
    fields.number("uid", u64::from(run.uid));
    fields.architecture(run.architecture);
    fields.number("processors", u64::from(run.processors));
    if let Some(product) = &run.product {
        fields.path("built at", &product.built_at);
        let (major, minor) = product.glibc.unwrap_or_default();
        fields.number("glibc", u64::from(major));
        fields.number("glibc", u64::from(minor));
    }
}

fn assemble_fields(fields: &mut Fields, assemble: &Assemble<Digest>) {
    match assemble {
        Assemble::Root { layers } => {
            fields.text("action", "assemble root");
            layers.iter().for_each(|layer| layer_fields(fields, layer));
        }
        Assemble::Visible { tree, owners, stated } => {
            fields.text("action", "assemble visible");
            fields.digest("tree", *tree);
            fields.digest("owners", *owners);
            stated.iter().for_each(|path| fields.path("stated", path));
        }
        Assemble::Modules { tree } => {
            fields.text("action", "assemble modules");
            fields.digest("tree", *tree);
        }
        Assemble::SignedModules { modules, certificate } => {
            fields.text("action", "assemble signed modules");
            fields.digest("modules", *modules);
            fields.file("certificate", certificate);
        }
        Assemble::Replaced { tree, with } => {
            fields.text("action", "assemble replaced");
            fields.digest("tree", *tree);
            fields.digest("with", *with);
        }
        Assemble::PackagedKernel { packages, drop } => {
            fields.text("action", "assemble kernel package");
            packages.iter().for_each(|package| fields.digest("package", *package));
            drop.iter().for_each(|glob| fields.text("drop", glob.as_str()));
        }
        Assemble::Initramfs(initramfs) => initramfs_fields(fields, initramfs),
        Assemble::Verity { data, salt, uuid } => {
            fields.text("action", "assemble verity");
            fields.file("data", data);
            fields.bytes("salt", salt);
            fields.bytes("uuid", uuid);
        }
        Assemble::Uki { stub, kernel, os_release, release, initramfs, command_line, architecture } => {
            fields.text("action", "assemble uki");
            fields.file("stub", stub);
            fields.file("kernel", kernel);
            fields.text("os-release", os_release);
            fields.file("release", release);
            initramfs.iter().for_each(|initramfs| fields.file("initramfs", initramfs));
            fields.text("command line", command_line);
            fields.architecture(*architecture);
        }
        Assemble::BootRecord { uki, files } => {
            fields.text("action", "assemble boot record");
            fields.file("uki", uki);
            fields.boot_files(files);
        }
        Assemble::BoundUki { uki, verity, salt } => {
            fields.text("action", "assemble bound uki");
            fields.file("uki", uki);
            fields.digest("verity", *verity);
            fields.bytes("salt", salt);
        }
        Assemble::Esp { files, size, volume_id, epoch } => {
            fields.text("action", "assemble esp");
            fields.boot_files(files);
            size.iter().for_each(|size| fields.number("size", *size));
            fields.number("volume id", u64::from(*volume_id));
            fields.number("epoch", *epoch);
        }
        Assemble::Disk { guid, esp, esp_guid, root, verity, slots, label, architecture } => {
            fields.text("action", "assemble disk");
            fields.bytes("guid", guid);
            fields.file("esp", esp);
            fields.bytes("esp guid", esp_guid);
            fields.file("root", root);
            fields.digest("verity", *verity);
            slots.iter().for_each(|slot| fields.slot(slot));
            fields.text("label", label);
            fields.architecture(*architecture);
        }
    }
}

fn initramfs_fields(fields: &mut Fields, initramfs: &Initramfs<Digest>) {
    fields.text("action", "assemble initramfs");
    fields.digest("boot", initramfs.boot);
    fields.digest("modules", initramfs.modules);
    fields.file("init", &initramfs.init);
    initramfs.load.iter().for_each(|module| fields.text("load", &module.name));
    initramfs.firmware.iter().for_each(|file| fields.path("firmware", &file.name));
    initramfs.disks.iter().for_each(|module| fields.text("disk", module));
}

fn layer_fields(fields: &mut Fields, layer: &RootLayer<Digest>) {
    fields.named("owner", &layer.owner);
    fields.about("layer", &layer.owner);
    fields.digest("layer", layer.tree);
    layer.drop.iter().for_each(|glob| fields.text("drop", glob.as_str()));
    layer.replaces.iter().for_each(|path| fields.path("replaces", path));
    for (path, (uid, gid)) in &layer.users {
        fields.path("user of", path);
        fields.number("user uid", u64::from(*uid));
        fields.number("user gid", u64::from(*gid));
    }
}

fn pack_fields(fields: &mut Fields, pack: &Pack<Digest>) {
    match pack {
        Pack::Manifest(manifest) => {
            fields.text("action", "pack manifest");
            fields.text("variant", &manifest.variant);
            fields.text("version", &manifest.version);
            fields.architecture(manifest.architecture);
            for part in &manifest.components {
                fields.named("component", &part.name);
                fields.text("component version", &part.version);
                fields.text("license", &part.license);
                if let Some(sha256) = &part.sha256 {
                    fields.bytes("component sha256", sha256.as_bytes());
                }
                if part.source == PartSource::Checkout {
                    fields.text("component source", "checkout");
                }
            }
            fields.about_all();
            fields.digest("root", manifest.root);
            fields.digest("owners", manifest.owners);
            fields.file("root image", &manifest.root_image);
            fields.digest("verity", manifest.verity);
            fields.file("esp", &manifest.esp);
        }
        Pack::Raw { disk, name, compression } => {
            fields.text("action", "pack raw");
            fields.file("disk", disk);
            fields.text("name", name);
            let compression = match compression {
                Compression::Plain => "plain",
                Compression::Zstd => "zstd",
            };
            fields.text("compression", compression);
        }
    }
}

/// Named fields one after the other, each with its length, so that no two actions share their bytes.
struct Fields {
    bytes: Vec<u8>,
    /// The same for people, when somebody asks.
    facts: Option<Facts>,
    /// What the next fields are about, and whether one was there already.
    topic: Option<(String, bool)>,
}

impl Fields {
    fn raw(&mut self, name: &'static str, value: &[u8]) {
        self.bytes.push(name.len() as u8);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend((value.len() as u64).to_le_bytes());
        self.bytes.extend(value);
    }

    /// The next fields are about something of this kind and name; the first of them is what it is. No part of the key.
    fn about(&mut self, kind: &str, name: &str) {
        if self.facts.is_some() {
            let topic = if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") };
            self.topic = Some((topic, false));
        }
    }

    /// The next fields are about the whole action.
    fn about_all(&mut self) {
        self.topic = None;
    }

    /// A name, which the next fields are about.
    fn named(&mut self, kind: &'static str, name: &str) {
        self.raw(kind, name.as_bytes());
        self.about(kind, name);
    }

    fn fact(&mut self, field: &str, value: impl FnOnce() -> Fact) {
        let Some(facts) = &mut self.facts else { return };
        let name = match &mut self.topic {
            None => field.to_owned(),
            Some((topic, begun)) if *begun => format!("{topic}, {field}"),
            Some((topic, begun)) => {
                *begun = true;
                topic.clone()
            }
        };
        let mut value = value();
        let mut free = name.clone();
        let mut number = 1;
        while let Some(known) = facts.get_mut(&free) {
            if let (Fact::Text(known), Fact::Text(more)) = (known, &mut value) {
                known.push('\n');
                known.push_str(more);
                return;
            }
            number += 1;
            free = format!("{name} ({number})");
        }
        facts.insert(free, value);
    }

    fn bytes(&mut self, name: &'static str, value: &[u8]) {
        self.raw(name, value);
        self.fact(name, || Fact::Text(value.iter().map(|byte| format!("{byte:02x}")).collect()));
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.raw(name, value.as_bytes());
        self.fact(name, || Fact::Text(value.to_owned()));
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.raw(name, &value.to_le_bytes());
        self.fact(name, || Fact::Text(value.to_string()));
    }

    fn digest(&mut self, name: &'static str, value: Digest) {
        self.raw(name, value.as_bytes());
        self.fact(name, || Fact::Tree(value));
    }

    fn path(&mut self, name: &'static str, value: &RelPath) {
        self.text(name, value.as_str());
    }

    fn file(&mut self, name: &'static str, value: &FileOf<Digest>) {
        let alone = self.topic.is_none();
        if alone {
            self.about(name, "");
        }
        self.digest(name, value.tree);
        self.path("file", &value.path);
        if alone {
            self.about_all();
        }
    }

    fn slot(&mut self, slot: &Slot) {
        self.number("verity size", slot.verity_size);
        self.number("root size", slot.root_size);
        slot.empty_guids.iter().for_each(|guid| self.bytes("empty guid", guid));
    }

    fn boot_files(&mut self, files: &[BootFile<Digest>]) {
        for file in files {
            self.named("to", file.to.as_str());
            self.file("from", &file.from);
        }
        self.about_all();
    }

    fn architecture(&mut self, value: Architecture) {
        self.text("architecture", value.name());
    }
}
