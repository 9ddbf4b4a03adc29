//! Everything that is in an image, and everything that built it, as one list: what a manifest, an SBOM and a provenance
//! say in their own words.

use std::collections::BTreeSet;

use super::package_url::{debian, package_url};
use crate::{
    content::Sha256,
    graph::{Component, Fetched, FetchedWhat, Image, KernelSource, Package, Role, SourceTree, Upstream},
};

/// Something that an image has in it or was built with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Its name; of what is in the root as in `owners`.
    pub name: String,
    /// What it is to the image.
    pub role: PartRole,
    /// Its version; empty where it has none.
    pub version: String,
    /// The package URL (purl) that other tools know it by.
    pub purl: String,
    /// Who it was had from: the archive of a package, else the recipe set.
    pub supplier: String,
    /// Its licence expression (SPDX), or `NOASSERTION`.
    pub license: String,
    /// What it was built from, where that is known: the package URL of a Debian source package, or a download location
    /// (SPDX 2.3, section 7.7).
    pub source: Option<String>,
    /// The SHA-256 of the one file that it was made from, where there is one.
    pub sha256: Option<Sha256>,
    /// Whether that is what recipes and lock say.
    pub made_from: PartSource,
}

/// What a part is to its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartRole {
    /// It is in the root.
    Root,
    /// The kernel, and the packages that a finished one comes as.
    Kernel,
    /// It is in the initramfs.
    Initramfs,
    /// The boot loader, and the stub that starts the kernel.
    BootLoader,
    /// Something that is built was linked with it, so that a piece of it may be in the image.
    Linked,
    /// It ran while the image was built; nothing of it is in the image.
    Tool,
}

/// What a part was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartSource {
    /// What recipes and lock say.
    Locked,
    /// A developer's own folder; such an image is not published.
    Checkout,
}

impl PartRole {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            PartRole::Root => "root",
            PartRole::Kernel => "kernel",
            PartRole::Initramfs => "initramfs",
            PartRole::BootLoader => "boot-loader",
            PartRole::Linked => "linked",
            PartRole::Tool => "tool",
        }
    }

    /// Whether all of it is in the image, and not perhaps a piece or nothing.
    pub const fn is_in_image(self) -> bool {
        !matches!(self, PartRole::Linked | PartRole::Tool)
    }
}

/// Everything in an image and everything that built it, sorted by name. Tools that only run or check a finished image are
/// no part of it.
pub fn inventory(image: &Image) -> Vec<Part> {
    let listing = Listing { checkouts: image.from_checkouts() };
    let mut parts = listing.kernel(image);
    parts.extend(image.packages.iter().map(|package| package_part(package, PartRole::Root)));
    parts.extend(image.components.iter().map(|component| listing.component(component, PartRole::Root)));
    let loader = image.roles.get(&Role::BootLoader).and_then(|name| image.toolsets.get(name));
    let loader = loader.into_iter().flat_map(|toolset| &toolset.packages);
    parts.extend(loader.map(|package| package_part(package, PartRole::BootLoader)));
    for sysroot in image.sysroots.values() {
        parts.extend(sysroot.packages.iter().map(|package| package_part(package, PartRole::Linked)));
        parts.extend(sysroot.components.iter().map(|component| listing.component(component, PartRole::Linked)));
    }
    let tools = building(image).into_iter().filter_map(|name| image.toolsets.get(name));
    parts.extend(tools.flat_map(|toolset| &toolset.packages).map(|package| package_part(package, PartRole::Tool)));
    parts.sort();
    parts.dedup();
    parts
}

struct Listing<'a> {
    checkouts: BTreeSet<&'a str>,
}

impl Listing<'_> {
    fn component(&self, component: &Component, role: PartRole) -> Part {
        let upstream = component.recipe.as_ref().and_then(|recipe| recipe.upstream.as_ref());
        let upstream = upstream.filter(|_| component.checkout.is_none());
        let is_checkout = self.checkouts.contains(component.name.as_str());
        Part {
            version: component.version.clone(),
            purl: component_url(&component.name, &component.version, upstream),
            license: stated_or_unknown(&component.license),
            source: upstream.and_then(location),
            sha256: upstream.and_then(Upstream::sha256),
            made_from: if is_checkout { PartSource::Checkout } else { PartSource::Locked },
            ..plain(&component.name, role)
        }
    }

    /// The kernel, its packages, and the first program of what a finished one is started with.
    fn kernel(&self, image: &Image) -> Vec<Part> {
        let kernel = &image.kernel;
        let own = Part {
            version: kernel.version.clone(),
            license: stated_or_unknown(&kernel.license),
            ..plain(&kernel.name, PartRole::Kernel)
        };
        let url = |source: Option<&Upstream>| component_url(&kernel.name, &kernel.version, source);
        match &kernel.source {
            KernelSource::Debian { package, .. } => {
                let source = Some(package_url_of(package));
                vec![Part { purl: url(None), source, sha256: Some(package.sha256), ..own }]
            }
            KernelSource::Upstream(file) => {
                let upstream = Upstream { source: SourceTree::Url(file.clone()), languages: None };
                let (source, sha256) = (location(&upstream), upstream.sha256());
                vec![Part { purl: url(Some(&upstream)), source, sha256, ..own }]
            }
            KernelSource::Finished { packages, initramfs, .. } => {
                let linked = image.sysroots.get(&kernel.name).into_iter().flat_map(|sysroot| &sysroot.components);
                let init = linked.filter(|component| component.name == initramfs.init);
                let init = init.map(|component| self.component(component, PartRole::Initramfs));
                let sha256 = packages.first().map(|package| package.sha256);
                let packages = packages.iter().map(|package| package_part(package, PartRole::Kernel));
                packages.chain(init).chain([Part { purl: url(None), sha256, ..own }]).collect()
            }
        }
    }
}

/// A part of a recipe set, of which nothing is known but its name.
fn plain(name: &str, role: PartRole) -> Part {
    Part {
        name: name.to_owned(),
        role,
        version: String::new(),
        purl: String::new(),
        supplier: name.split_once('/').map_or(name, |(set, _)| set).to_owned(),
        license: stated_or_unknown(""),
        source: None,
        sha256: None,
        made_from: PartSource::Locked,
    }
}

fn package_part(package: &Package, role: PartRole) -> Part {
    let source = package.source.as_ref();
    Part {
        version: package.version.clone(),
        purl: package_url_of(package),
        supplier: package.archive.clone(),
        license: package.license.clone(),
        source: source.map(|(name, version)| debian(&package.archive, name, version, "source")),
        sha256: Some(package.sha256),
        ..plain(&package.name, role)
    }
}

fn package_url_of(package: &Package) -> String {
    debian(&package.archive, &package.name, &package.version, package.built_for)
}

/// A Go module by its own name; everything else by the name of its recipe, with what tells it from others of that name.
fn component_url(name: &str, version: &str, upstream: Option<&Upstream>) -> String {
    let generic = |qualifiers: &[(&str, &str)]| package_url("generic", name.split('/'), version, qualifiers);
    match upstream.map(|upstream| &upstream.source) {
        Some(SourceTree::Url(file)) => {
            let url = file.urls.first().map(ToString::to_string).unwrap_or_default();
            generic(&[("checksum", &format!("sha256:{}", file.sha256)), ("download_url", &url)])
        }
        Some(SourceTree::Fetched(Fetched { what: FetchedWhat::GoModule { path, version }, .. })) => {
            package_url("golang", path.to_lowercase().split('/'), version, &[])
        }
        Some(SourceTree::Fetched(fetched)) => generic(&[("vcs_url", &repository(fetched).unwrap_or_default())]),
        Some(SourceTree::Debian(_) | SourceTree::Folder(_)) | None => generic(&[]),
    }
}

/// Where a source is had from.
fn location(upstream: &Upstream) -> Option<String> {
    match &upstream.source {
        SourceTree::Url(file) => file.urls.first().map(ToString::to_string),
        SourceTree::Debian(source) => Some(debian(&source.archive, &source.name, &source.version, "source")),
        SourceTree::Fetched(fetched) => match &fetched.what {
            FetchedWhat::GoModule { path, version } => {
                Some(package_url("golang", path.to_lowercase().split('/'), version, &[]))
            }
            _ => repository(fetched),
        },
        SourceTree::Folder(_) => None,
    }
}

/// A commit of a repository as SPDX writes it: `git+https://…@commit`.
fn repository(fetched: &Fetched) -> Option<String> {
    match &fetched.what {
        FetchedWhat::Git { url, commit } => Some(format!("git+{url}@{commit}")),
        _ => None,
    }
}

/// The tool sets that something of the image is built or fetched with.
fn building(image: &Image) -> BTreeSet<&str> {
    let linked = image.sysroots.values().flat_map(|sysroot| &sysroot.components);
    let recipes = image.components.iter().chain(linked).filter_map(|component| component.recipe.as_ref());
    let mut names: BTreeSet<&str> = image.kernel.tools.iter().map(String::as_str).collect();
    for recipe in recipes {
        names.extend(recipe.tools.iter().map(String::as_str));
        let Some(upstream) = &recipe.upstream else { continue };
        names.extend(upstream.languages.iter().map(|fetched| fetched.tool.as_str()));
        if let SourceTree::Fetched(fetched) = &upstream.source {
            names.insert(&fetched.tool);
        }
    }
    let roles = [Role::RootFilesystem, Role::Finish].into_iter().filter_map(|role| image.roles.get(&role));
    names.extend(roles.map(String::as_str));
    names
}

fn stated_or_unknown(license: &str) -> String {
    if license.is_empty() { "NOASSERTION".to_owned() } else { license.to_owned() }
}
