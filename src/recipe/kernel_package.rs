//! Kernels that come finished, as a package of an archive, and the initramfs that finds the root for them.

use std::collections::BTreeMap;

use brc_contract::initramfs;

use super::{
    Clause, Code, Guarded, Name, Span, Spanned, Template,
    condition::read_block,
    decode::{Cursor, Reader},
    names::Space,
    parse::Node,
    word::{GuardWord, InitramfsWord, KernelWord, Word as _},
};
use crate::content::RelPath;

/// A package that holds a kernel and its modules, or firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPackage {
    /// Its name; braces are filled.
    pub name: Spanned<Template>,
    /// `archive="debian"`: the archive it comes from; `debian` when it is not said.
    pub archive: Spanned<Name>,
    /// `suite="trixie"`: the suite it comes from, with its updates and security; required.
    pub suite: Spanned<String>,
}

/// One node of an `initramfs` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitramfsItem {
    /// `init "early"`: the component whose one installed file is the first program; required.
    Init(Spanned<Name>),
    /// `module "dm-verity" "erofs" …`: modules that are loaded in this order, each after those that it depends on; one
    /// that is built into the kernel is there already.
    Module(Vec<Spanned<String>>),
    /// `firmware "vendor/file.bin" …`: files below `/usr/lib/firmware` of the kernel's packages that modules ask for.
    Firmware(Vec<Spanned<RelPath>>),
}

impl KernelPackage {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.text(reader, "the name of a package").and_then(|text| reader.template(text));
        // Whatever fills the braces is made of letters that names of packages have.
        let filled = name.as_ref().and_then(|name| {
            let filled = name.fill(|_| Some("x"))?;
            reader.package(Spanned::new(filled, name.span))
        });
        let archive = cursor.text_property(reader, "archive");
        let archive = archive.unwrap_or_else(|| Spanned::new("debian".to_owned(), cursor.place()));
        let archive = reader.reference(&archive, Space::Archive);
        let suite = cursor.required_property(reader, "suite");
        let suite = suite.and_then(|text| reader.suite_name(text, "a suite"));
        filled?;
        Some(KernelPackage { name: name?, archive: archive?, suite: suite? })
    }
}

impl InitramfsItem {
    /// Reads an `initramfs` block; `when` are the conditions around it.
    pub(super) fn read_all(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, when: &[Clause]) -> Vec<Guarded<Self>> {
        read_block(reader, cursor.block(), when, &mut |reader, node, word, _| {
            Self::read(reader, node, word).into_iter().collect()
        })
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>, word: Option<InitramfsWord>) -> Option<Self> {
        let Some(word) = word else {
            reader.unknown_node(node, InitramfsWord::PLACE, &[InitramfsWord::TEXTS, GuardWord::TEXTS]);
            return None;
        };
        let mut cursor = Cursor::new(reader, node, word);
        let item = match word {
            InitramfsWord::Init => {
                let name = cursor.text(reader, "the name of a component");
                let name = name.and_then(|name| reader.reference(&name, Space::Component));
                name.filter(|name| reader.is_part(name, "init")).map(InitramfsItem::Init)
            }
            InitramfsWord::Module => {
                let names = cursor.texts(reader, "the name of a module");
                Some(InitramfsItem::Module(names.into_iter().filter_map(|name| module_name(reader, name)).collect()))
            }
            InitramfsWord::Firmware => {
                let names = cursor.texts(reader, "the name of a firmware file");
                Some(InitramfsItem::Firmware(names.into_iter().filter_map(|name| firmware(reader, name)).collect()))
            }
        };
        cursor.finish(reader);
        item
    }
}

/// The name of a module, as modprobe takes it.
fn module_name(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<String>> {
    if !initramfs::is_module(&text) {
        let message = format!("`{}` cannot be the name of a module", text.value);
        reader.error(Code::BadName, text.span, message, "its name without folder and `.ko`: `dm-verity`");
        return None;
    }
    Some(text)
}

fn firmware(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<RelPath>> {
    match RelPath::new(&text) {
        Ok(path) if !path.is_root() && path.depth() <= initramfs::MAX_FIRMWARE_DEPTH => {
            Some(Spanned::new(path, text.span))
        }
        _ => {
            let message = format!("`{}` cannot be the name of a firmware file", text.value);
            reader.error(Code::BadPath, text.span, message, "its path below `/usr/lib/firmware`: `vendor/file.bin`");
            None
        }
    }
}

/// Which kernels a word of a kernel's block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Those from source.
    Source,
    /// Those that come finished.
    Finished,
    /// All.
    Both,
}

fn means(word: KernelWord) -> Means {
    match word {
        KernelWord::Debian
        | KernelWord::Upstream
        | KernelWord::Config
        | KernelWord::BuildWith
        | KernelWord::Patch
        | KernelWord::Modules
        | KernelWord::ModuleCertificate => Means::Source,
        KernelWord::Package | KernelWord::Initramfs | KernelWord::Drop => Means::Finished,
        KernelWord::Version | KernelWord::License => Means::Both,
    }
}

/// Reports what a kernel's block says of a finished kernel and of a source at once, and what is missing.
pub(super) fn check_source(reader: &mut Reader<'_>, node: &Node<'_>, name: &str) {
    let mut found = BTreeMap::new();
    find(node.children.as_deref().unwrap_or(&[]), &mut found);
    let has = |word: KernelWord| found.contains_key(word.text());
    let mut missing = |message: String, help: &str| reader.error(Code::MissingNode, node.name_span, message, help);
    let is_finished = has(KernelWord::Package);
    if !is_finished {
        if !has(KernelWord::Debian) && !has(KernelWord::Upstream) {
            let help = "write `package \"linux-image-…\" suite=\"…\"`, `debian \"linux-source-…\" suite=\"…\" unpack=\"…\"` \
                        or `upstream { url \"…\" }`";
            missing(format!("kernel `{name}` has no source"), help);
        } else if !has(KernelWord::Config) {
            missing(format!("kernel `{name}` has no configuration"), "write `config \"FILE\" …`");
        }
    } else if !has(KernelWord::Initramfs) {
        let help = "write `initramfs { init \"brc/early\"; module \"dm-verity\" \"erofs\" … }`";
        missing(format!("kernel `{name}` comes finished and has no `initramfs` that finds the root"), help);
    }
    let (idle, is, help) = match is_finished {
        true => (
            Means::Source,
            "comes finished, from a package",
            "leave it out, or write `debian` or `upstream` instead of `package`",
        ),
        false => (
            Means::Finished,
            "is built from source",
            "leave it out: its configuration says what finds the root and which modules there are",
        ),
    };
    for (text, (word, span)) in found {
        if means(word) == idle {
            reader.error(Code::MisplacedNode, span, format!("kernel `{name}` {is}: `{text}` says nothing"), help);
        }
    }
}

/// The first node of each word of a kernel's block, conditions included.
fn find(nodes: &[Node<'_>], found: &mut BTreeMap<&'static str, (KernelWord, Span)>) {
    for node in nodes {
        if let Some(word) = KernelWord::of(&node.name) {
            found.entry(word.text()).or_insert((word, node.name_span));
        } else if GuardWord::of(&node.name).is_some() {
            find(node.children.as_deref().unwrap_or(&[]), found);
        }
    }
}
