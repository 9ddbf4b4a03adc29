//! Kernels: built from source, or finished ones of an archive.

use super::{
    Clause, Code, Guarded, InitramfsItem, Item, KernelPackage, LocalPath, Name, Presence, Span, Spanned, Switch,
    Upstream,
    condition::read_block,
    decode::{Cursor, Reader},
    kernel_package::check_source,
    names::Space,
    parse::Node,
    word::{KernelWord, TopWord, UpstreamWord, Word as _},
};
use crate::content::Glob;

/// A kernel: `kernel "linux-6.12" { … }`. One that is built from source wants that source and a `config`, one that comes
/// finished a `package` and an `initramfs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: Spanned<Name>,
    /// What its block says, in order. Scalars (source, version, licence): the last one that holds counts.
    pub items: Vec<Guarded<KernelItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a kernel's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelItem {
    /// `debian "linux-source-6.12" suite="trixie" unpack="/usr/src/*.tar.xz"`: its source: an archive inside a binary
    /// package.
    Debian(DebianSource),
    /// `upstream { url "…" sha256="…" }`: its source: an archive; only `url`.
    Upstream(Upstream),
    /// `package "linux-image-cloud-{arch.debian}" suite="trixie"`: a finished kernel with its modules, compiled by the
    /// archive; of what the package depends on only kernels and their modules are taken. Another `package` brings
    /// firmware.
    Package(KernelPackage),
    /// `initramfs { … }`: what a finished kernel is started with, until it has its root.
    Initramfs(Vec<Guarded<InitramfsItem>>),
    /// `drop "/usr/lib/modules/*/kernel/sound/**" …`: what of a finished kernel's modules and firmware does not come into
    /// the image; a module that stays and needs one of them is an error.
    Drop(Vec<Spanned<Glob>>),
    /// `version "6.12.9"`: needed with `upstream`; else it is the package's.
    Version(Spanned<String>),
    /// `license "GPL-2.0-only"`: an SPDX expression, for the manifest.
    License(Spanned<String>),
    /// `config "base.config" "arch/{arch}.config" …`: Kconfig fragments beside the recipe over `tinyconfig`; later ones
    /// win, and a line that is not in the final configuration is an error.
    Config(Vec<LocalPath>),
    /// `build-with "kernel-tools" …`: tool sets, laid at the root of the sandbox.
    BuildWith(Vec<Spanned<Name>>),
    /// `patch "a.patch" …`: laid over the source with `patch -p1`, in order.
    Patch(Vec<LocalPath>),
    /// `modules #false`: of a kernel from source: no modules, neither built nor installed, whatever its fragments say;
    /// they are when it is not said.
    Modules(Spanned<Modules>),
    /// `module-certificate "keys/modules.pem"`: the X.509 certificate, as PEM, of the key that every module of the
    /// image is signed with; the kernel takes no others. The key itself is given to brc with `--signing-key`.
    ModuleCertificate(LocalPath),
    /// What components, kernels and variants alike have.
    Common(Item),
}

/// A kernel source that is a binary package holding an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianSource {
    /// The package.
    pub package: Spanned<String>,
    /// `archive="debian"`: the archive it comes from; `debian` when it is not said.
    pub archive: Spanned<Name>,
    /// `suite="trixie"`: the suite it comes from, with its updates and security.
    pub suite: Spanned<String>,
    /// `unpack="/usr/src/*.tar.xz"`: the file inside the package that is unpacked.
    pub unpack: Spanned<Glob>,
}

/// What becomes of the modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modules {
    /// They come into the image; so it is when nothing is said.
    Installed,
    /// They are not even built.
    LeftOut,
}

impl Kernel {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Kernel);
        let name = cursor.text(reader, "a name").and_then(|name| reader.own_name(name));
        let items = KernelItem::read_all(reader, cursor.block());
        cursor.finish(reader);
        let name = name?;
        check_source(reader, node, &name.name);
        Some(Kernel { name, items, span: node.span })
    }
}

impl KernelItem {
    /// Reads the block of a kernel, or of an override of one.
    pub(super) fn read_all(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Vec<Guarded<Self>> {
        read_block(reader, nodes, &[], &mut |reader, node, word, when| {
            Self::read(reader, node, word, when).into_iter().collect()
        })
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>, word: Option<KernelWord>, when: &[Clause]) -> Option<Self> {
        let Some(word) = word else { return Item::read::<KernelWord>(reader, node).map(KernelItem::Common) };
        let mut cursor = Cursor::new(reader, node, word);
        let item = match word {
            KernelWord::Debian => DebianSource::read(reader, &mut cursor).map(KernelItem::Debian),
            KernelWord::Upstream => Some(KernelItem::Upstream(reader.kernel_upstream(&mut cursor))),
            KernelWord::Package => KernelPackage::read(reader, &mut cursor).map(KernelItem::Package),
            KernelWord::Initramfs => Some(KernelItem::Initramfs(InitramfsItem::read_all(reader, &mut cursor, when))),
            KernelWord::Drop => reader.globs(&mut cursor).map(KernelItem::Drop),
            KernelWord::Version => {
                let text = cursor.text(reader, "a version");
                text.and_then(|text| reader.version(text)).map(KernelItem::Version)
            }
            KernelWord::License => {
                let text = cursor.text(reader, "an SPDX licence expression");
                text.and_then(|text| reader.license(text)).map(KernelItem::License)
            }
            KernelWord::Config => Some(KernelItem::Config(reader.locals(&mut cursor))),
            KernelWord::BuildWith => Some(KernelItem::BuildWith(reader.parts(&mut cursor))),
            KernelWord::Patch => Some(KernelItem::Patch(reader.locals(&mut cursor))),
            KernelWord::ModuleCertificate => {
                let text = cursor.text(reader, "a file");
                text.and_then(|text| reader.local(text, Presence::File)).map(KernelItem::ModuleCertificate)
            }
            KernelWord::Modules => {
                let switch = cursor.switch(reader, "what `modules` says");
                let modules = |switch| if switch == Switch::On { Modules::Installed } else { Modules::LeftOut };
                switch.map(|switch| KernelItem::Modules(switch.map(modules)))
            }
        };
        cursor.finish(reader);
        item
    }
}

impl Reader<'_> {
    /// The upstream of a kernel, which is an archive.
    fn kernel_upstream(&mut self, cursor: &mut Cursor<'_>) -> Upstream {
        let is_other = |word| match word {
            UpstreamWord::Url => false,
            UpstreamWord::Git
            | UpstreamWord::DebianSource
            | UpstreamWord::Folder
            | UpstreamWord::GoModule
            | UpstreamWord::Crates => true,
        };
        for inner in cursor.block().iter().filter(|inner| UpstreamWord::of(&inner.name).is_some_and(is_other)) {
            let message = format!("`{}` does not belong into a kernel's `upstream`", inner.name);
            self.error(Code::MisplacedNode, inner.name_span, message, "write `url \"…\"`; a component has the others");
        }
        Upstream::read(self, cursor)
    }
}

impl DebianSource {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let package = cursor.text(reader, "the name of a package").and_then(|text| reader.package(text));
        let archive = cursor.text_property(reader, "archive");
        let archive = archive.unwrap_or_else(|| Spanned::new("debian".to_owned(), cursor.place()));
        let archive = reader.reference(&archive, Space::Archive);
        let suite = cursor.required_property(reader, "suite");
        let suite = suite.and_then(|text| reader.suite_name(text, "a suite"));
        let unpack = cursor.required_property(reader, "unpack").and_then(|text| reader.glob(text));
        Some(DebianSource { package: package?, archive: archive?, suite: suite?, unpack: unpack? })
    }
}
