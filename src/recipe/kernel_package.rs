//! Kernels that come finished, as a package of an archive, and the initramfs that finds the root for them.

use brc_contract::initramfs;

use super::{
    Clause, Guarded, Name, Spanned, Template, code,
    condition::read_block,
    decode::{Cursor, Reader},
    names::Space,
    packages::suite_name,
    parse::Node,
    word,
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
        let suite = suite.and_then(|text| suite_name(reader, text, "a suite"));
        filled?;
        Some(KernelPackage { name: name?, archive: archive?, suite: suite? })
    }
}

impl InitramfsItem {
    /// Reads an `initramfs` block; `when` are the conditions around it.
    pub(super) fn read_all(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, when: &[Clause]) -> Vec<Guarded<Self>> {
        read_block(reader, cursor.block(), when, &mut |reader, node, _| Self::read(reader, node).into_iter().collect())
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let item = match node.name.as_ref() {
            "init" => {
                let name = cursor.text(reader, "the name of a component");
                let name = name.and_then(|name| reader.reference(&name, Space::Component));
                name.filter(|name| reader.is_part(name, "init")).map(InitramfsItem::Init)
            }
            "module" => {
                let names = cursor.texts(reader, "the name of a module");
                Some(InitramfsItem::Module(names.into_iter().filter_map(|name| module_name(reader, name)).collect()))
            }
            "firmware" => {
                let names = cursor.texts(reader, "the name of a firmware file");
                Some(InitramfsItem::Firmware(names.into_iter().filter_map(|name| firmware(reader, name)).collect()))
            }
            _ => {
                reader.unknown_node(node, "`initramfs`", &[&word::INITRAMFS[..], &word::GUARDS].concat());
                return None;
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
        reader.error(code::BAD_NAME, text.span, message, "its name without folder and `.ko`: `dm-verity`");
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
            reader.error(code::BAD_PATH, text.span, message, "its path below `/usr/lib/firmware`: `vendor/file.bin`");
            None
        }
    }
}

/// Reports what a kernel's block says of a finished kernel and of a source at once, and what is missing.
pub(super) fn check_source(reader: &mut Reader<'_>, node: &Node<'_>, name: &str) {
    let nodes = node.children.as_deref().unwrap_or(&[]);
    let found = |words: &[&str]| find(nodes, words).map(|found| (found.name.to_string(), found.name_span));
    let package = found(&["package"]);
    let mut missing = |message: String, help: &str| reader.error(code::MISSING_NODE, node.name_span, message, help);
    if package.is_none() {
        if found(&["debian", "upstream"]).is_none() {
            let help = "write `package \"linux-image-…\" suite=\"…\"`, `debian \"linux-source-…\" suite=\"…\" unpack=\"…\"` \
                        or `upstream { url \"…\" }`";
            missing(format!("kernel `{name}` has no source"), help);
        } else if found(&["config"]).is_none() {
            missing(format!("kernel `{name}` has no configuration"), "write `config \"FILE\" …`");
        }
    } else if found(&["initramfs"]).is_none() {
        let help = "write `initramfs { init \"brc/early\"; module \"dm-verity\" \"erofs\" … }`";
        missing(format!("kernel `{name}` comes finished and has no `initramfs` that finds the root"), help);
    }
    let words: &[&str] = if package.is_some() { &word::KERNEL_FROM_SOURCE } else { &["initramfs", "drop"] };
    let (is, help) = match package {
        Some(_) => {
            ("comes finished, from a package", "leave it out, or write `debian` or `upstream` instead of `package`")
        }
        None => (
            "is built from source",
            "leave it out: its configuration says what finds the root and which modules there are",
        ),
    };
    for word in words {
        if let Some((word, span)) = found(&[word]) {
            reader.error(code::MISPLACED_NODE, span, format!("kernel `{name}` {is}: `{word}` says nothing"), help);
        }
    }
}

/// The first node of one of `words` in the block, conditions included.
fn find<'n>(nodes: &'n [Node<'n>], words: &[&str]) -> Option<&'n Node<'n>> {
    nodes.iter().find_map(|node| {
        if words.contains(&node.name.as_ref()) {
            return Some(node);
        }
        let inner = node.children.as_deref().filter(|_| word::GUARDS.contains(&node.name.as_ref()))?;
        find(inner, words)
    })
}
