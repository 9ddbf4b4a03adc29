//! A variant with its parents merged and its conditions decided; nothing is pinned yet.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::{Architecture, settings::OnUnknown};

use super::{Role, Situation};
use crate::{
    content::{Digest, Glob, RelPath},
    recipe::{
        Artifact, Brace, Bytes, Command, Content, Data, InstallItem, Item, LanguageSet, LocalPath, Modules, Name,
        Package, PackagesDrop, Reasoned, Satisfies, Setting, SourcePath, Span, Spanned, Upstream, UpstreamSource,
    },
};

/// The digests of the `Cargo.lock`, `go.mod` and `go.sum` files in each folder of source, by the folder's path as the
/// recipes know it.
pub type Manifests = BTreeMap<String, BTreeMap<RelPath, Digest>>;

/// One variant for one architecture. Every value knows where it is written.
#[derive(Debug, Clone)]
pub struct Flat {
    /// The variant.
    pub name: Spanned<Name>,
    /// The image's version.
    pub version: Spanned<String>,
    /// What conditions were asked about.
    pub situation: Situation,
    /// What is in the image: every component after those it needs. The last one is the variant itself.
    pub components: Vec<FlatComponent>,
    /// Components that are wanted by name and that the image does not have: they are built for it all the same.
    pub beside: Vec<FlatComponent>,
    /// The architecture of the machine that composes: what runs while building is for it.
    pub execution: Architecture,
    /// What builds it, by the name that `build-with` or `tool` says.
    pub toolsets: BTreeMap<Name, FlatToolset>,
    /// What each built component is linked with, by its name.
    pub sysroots: BTreeMap<Name, Vec<FlatComponent>>,
    /// Which tool set does what brc itself needs done.
    pub roles: BTreeMap<Role, Spanned<Name>>,
    /// The kernel.
    pub kernel: FlatKernel,
    /// The words that recipes add to the kernel's command line.
    pub kernel_arguments: Vec<Spanned<String>>,
    /// The size of a slot's root partition.
    pub slot: Spanned<Bytes>,
    /// The size of the ESP.
    pub esp: Option<Spanned<Bytes>>,
    /// The data partition.
    pub data: Option<Data>,
    /// The most bytes of the root image.
    pub budget: Option<Spanned<Bytes>>,
    /// Settings by path.
    pub settings: BTreeMap<Vec<String>, Setting>,
    /// What becomes of user data with settings that there are not, where that is said.
    pub unknown_settings: Option<Spanned<OnUnknown>>,
    /// The files that leave brc.
    pub artifacts: Vec<Artifact>,
    /// Values that others replaced: what, where the old one stands, where the new one.
    pub replaced: Vec<Replaced>,
}

/// The members of a tool set, every one after those it needs.
#[derive(Debug, Clone)]
pub struct FlatToolset {
    /// The members.
    pub members: Vec<FlatComponent>,
    /// The architecture of its packages.
    pub architecture: Architecture,
    /// The images that it is for.
    pub serves: Serves,
}

/// The images that a tool set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// Its recipe names the same packages for every target.
    EveryTarget,
    /// Its recipe depends on the target.
    Only(Architecture),
}

/// A value that another one replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// What it was: `platform`, `layout slot`.
    pub what: String,
    /// Its value.
    pub value: String,
    /// Where it stands.
    pub old: Span,
    /// Where the value stands that counts.
    pub new: Span,
}

/// A component or package group with nothing conditional left.
#[derive(Debug, Clone)]
pub struct FlatComponent {
    /// Its name.
    pub name: Name,
    /// The node that states it.
    pub span: Span,
    /// Its version.
    pub version: Option<Spanned<String>>,
    /// Its licence.
    pub license: Option<Spanned<String>>,
    /// Where its source comes from.
    pub upstream: Option<Upstream>,
    /// Patches, in order.
    pub patches: Vec<LocalPath>,
    /// Archive packages that it stands for.
    pub satisfies: Vec<Satisfies>,
    /// Tool sets it is built with.
    pub build_with: Vec<Spanned<Name>>,
    /// Components of the target that it is built against.
    pub link_with: Vec<Spanned<Name>>,
    /// Lists of packages that must be locked in one version.
    pub same_version: Vec<Vec<Spanned<String>>>,
    /// Components that are in the image with it.
    pub needs: Vec<Spanned<Name>>,
    /// What builds it.
    pub commands: Vec<Command>,
    /// What of the build is installed.
    pub installs: Vec<InstallItem>,
    /// What of the build does not come into the image.
    pub build_drop: Vec<Spanned<Glob>>,
    /// What else it brings.
    pub items: Vec<(Item, Span)>,
    /// The packages it brings, with archive and suite.
    pub packages: Vec<FlatPackage>,
    /// Dependencies that are not followed.
    pub without: Vec<Reasoned>,
    /// What of the packages is left out.
    pub drop: Vec<PackagesDrop>,
    /// Packages whose maintainer scripts are accounted for.
    pub maintainer_scripts: Vec<Reasoned>,
}

/// A package that a recipe names, with what its group says for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatPackage {
    /// The package.
    pub package: Package,
    /// The archive it comes from.
    pub archive: Name,
    /// The suite it comes from.
    pub suite: String,
}

/// The kernel with nothing conditional left.
#[derive(Debug, Clone)]
pub struct FlatKernel {
    /// Its name.
    pub name: Name,
    /// The node that states it.
    pub span: Span,
    /// The package that holds its source, or the upstream.
    pub source: FlatKernelSource,
    /// Fragments of its configuration, in order.
    pub fragments: Vec<LocalPath>,
    /// Tool sets it is built with.
    pub build_with: Vec<Spanned<Name>>,
    /// Patches, in order.
    pub patches: Vec<LocalPath>,
    /// The certificate of the key that its modules are signed with.
    pub module_certificate: Option<LocalPath>,
    /// Its version, where the recipe says one.
    pub version: Option<Spanned<String>>,
    /// Its licence, where the recipe says one.
    pub license: Option<Spanned<String>>,
    /// Whether it has modules.
    pub modules: Modules,
}

/// Where a kernel's source comes from.
#[derive(Debug, Clone)]
pub enum FlatKernelSource {
    /// A package that holds an archive.
    Debian(crate::recipe::DebianSource),
    /// A file by URL.
    Upstream(Upstream),
    /// A finished kernel.
    Package(FinishedKernel),
}

/// A kernel that comes finished, with nothing conditional left.
#[derive(Debug, Clone, Default)]
pub struct FinishedKernel {
    /// The packages that hold it, and firmware.
    pub packages: Vec<FlatKernelPackage>,
    /// The component whose one file is the initramfs' first program; `None` until the recipe was read to its end.
    pub init: Option<Spanned<Name>>,
    /// The modules that are loaded before there is a root, in order.
    pub modules: Vec<Spanned<String>>,
    /// The firmware that they ask for.
    pub firmware: Vec<Spanned<RelPath>>,
    /// What of its modules and firmware does not come into the image.
    pub drop: Vec<Spanned<Glob>>,
}

/// A package of a finished kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatKernelPackage {
    /// The package.
    pub name: Spanned<String>,
    /// The archive it comes from.
    pub archive: Name,
    /// The suite it comes from.
    pub suite: String,
}

impl Flat {
    /// The variant and architecture as people say them: `quickstart x86_64`.
    pub fn title(&self) -> String {
        format!("{} {}", self.name.name, self.situation.architecture.name())
    }

    /// The components of the image, of its tool sets and of what its parts are linked with.
    pub fn every_component(&self) -> impl Iterator<Item = &FlatComponent> {
        let tools = self.toolsets.values().flat_map(|toolset| &toolset.members);
        self.components.iter().chain(&self.beside).chain(tools).chain(self.sysroots.values().flatten())
    }

    /// Gives the image another version than its recipe.
    pub fn set_version(&mut self, version: &str) {
        self.version.value = version.to_owned();
        if let Some(own) = self.components.last_mut() {
            own.version = Some(self.version.clone());
        }
    }

    /// What a brace is filled with, in a component of this version.
    pub fn brace<'a>(&'a self, version: Option<&'a str>, brace: Brace) -> Option<&'a str> {
        match brace {
            Brace::Version => version,
            Brace::Arch => Some(self.situation.architecture.name()),
            Brace::DebianArch => Some(self.situation.architecture.debian()),
            Brace::Platform => Some(self.situation.platform.as_str()),
        }
    }

    /// The folders of source whose language sets are fetched, as the recipes know them, and the names of the files in
    /// them that say what of.
    pub fn manifests(&self) -> Vec<(String, Vec<&'static str>)> {
        let folders = self.every_component().filter_map(|component| {
            let upstream = component.upstream.as_ref()?;
            let names = match upstream.languages.as_ref()? {
                LanguageSet::Crates(_) => vec!["Cargo.lock"],
                LanguageSet::GoModules(_) => vec!["go.mod", "go.sum"],
            };
            let UpstreamSource::Folder(path) = upstream.source.as_ref()? else { return None };
            let version = component.stated_version();
            Some((path.fill(|brace| self.brace(version, brace))?.to_string(), names))
        });
        folders.collect()
    }

    /// The files and folders beside the recipes whose paths have braces, as they are called for this image, each with
    /// where it is stated. Those without braces were looked for when the recipes were read.
    pub fn filled_locals(&self) -> Vec<(SourcePath, Span)> {
        let mut found = Vec::new();
        let mut fill = |path: &LocalPath, version: Option<&Spanned<String>>| {
            let braced = path.path.as_plain().is_none();
            let version = version.map(|version| version.value.as_str());
            let filled = path.fill(|brace| self.brace(version, brace)).filter(|_| braced);
            found.extend(filled.map(|filled| (filled, path.span)));
        };
        let kernel = &self.kernel;
        for path in kernel.fragments.iter().chain(&kernel.patches).chain(&kernel.module_certificate) {
            fill(path, kernel.version.as_ref());
        }
        for component in self.every_component() {
            let version = component.version.as_ref();
            component.patches.iter().for_each(|path| fill(path, version));
            if let Some(UpstreamSource::Folder(path)) =
                component.upstream.as_ref().and_then(|found| found.source.as_ref())
            {
                fill(path, version);
            }
            for (item, _) in &component.items {
                let contents: Vec<&Content> = match item {
                    Item::File(file) => vec![&file.content],
                    Item::Template(made) => vec![&made.content],
                    Item::Unit(unit) => {
                        unit.content.iter().chain(unit.drop_ins.iter().map(|drop_in| &drop_in.content)).collect()
                    }
                    Item::Tree(tree) => {
                        fill(&tree.from, version);
                        continue;
                    }
                    Item::EmbedImage(image) => {
                        fill(&image.file, version);
                        continue;
                    }
                    _ => continue,
                };
                for content in contents {
                    if let Content::From(path) = content {
                        fill(path, version);
                    }
                }
            }
        }
        found
    }

    /// Every archive that packages come from.
    pub fn archives(&self) -> BTreeSet<Name> {
        let components = self.every_component();
        let mut archives: BTreeSet<Name> =
            components.flat_map(|component| &component.packages).map(|package| package.archive.clone()).collect();
        archives.extend(self.every_component().filter_map(|component| {
            match component.upstream.as_ref()?.source.as_ref()? {
                UpstreamSource::Debian(source) => Some(source.archive.value.clone()),
                _ => None,
            }
        }));
        match &self.kernel.source {
            FlatKernelSource::Debian(source) => archives.extend([source.archive.value.clone()]),
            FlatKernelSource::Package(kernel) => {
                archives.extend(kernel.packages.iter().map(|package| package.archive.clone()));
            }
            FlatKernelSource::Upstream(_) => {}
        }
        archives
    }
}

impl FlatComponent {
    /// The version that its recipe states.
    pub(super) fn stated_version(&self) -> Option<&str> {
        self.version.as_ref().map(|version| version.value.as_str())
    }

    /// Whether a build makes it.
    pub fn is_built(&self) -> bool {
        !self.commands.is_empty() || !self.installs.is_empty()
    }

    pub(super) fn new(name: Name, span: Span) -> Self {
        FlatComponent {
            name,
            span,
            version: None,
            license: None,
            upstream: None,
            patches: Vec::new(),
            satisfies: Vec::new(),
            build_with: Vec::new(),
            link_with: Vec::new(),
            same_version: Vec::new(),
            needs: Vec::new(),
            commands: Vec::new(),
            installs: Vec::new(),
            build_drop: Vec::new(),
            items: Vec::new(),
            packages: Vec::new(),
            without: Vec::new(),
            drop: Vec::new(),
            maintainer_scripts: Vec::new(),
        }
    }
}
