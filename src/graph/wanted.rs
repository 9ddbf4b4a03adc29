//! What of flat variants must be locked.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::Architecture;

use super::{
    fetched::wanted_trees,
    flat::{Flat, FlatComponent, FlatKernelSource, Manifests},
    lock_name::{image_closure, kernel_closure, source_id, sysroot_closure, tool_closure},
    origin::origin,
    upstream::urls,
};
use crate::{
    content::Url,
    lock::{
        self, Closure, ClosureId, IdentityKind, Pruned, Purpose, SameVersion, SourceId, Want, Wanted, WantedSource,
        WantedTree, WantedUrl, WantedUser,
    },
    recipe::{Expiry, Item, Name, Reach, Recipes, SourceSet, Spanned, UpstreamSource},
};

/// Everything that `flats` want pinned. `keyrings` are the bytes of each archive's keyrings, `manifests` those of the
/// folders of source.
pub fn wanted(
    recipes: &Recipes,
    flats: &[Flat],
    keyrings: &BTreeMap<Name, Vec<Vec<u8>>>,
    manifests: &Manifests,
    sources: &SourceSet,
) -> Wanted {
    let mut collector = Collector {
        sources,
        manifests,
        trees: Vec::new(),
        same_versions: Vec::new(),
        closures: BTreeMap::new(),
        debian_sources: BTreeMap::new(),
        urls: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    let mut archives = BTreeSet::new();
    for flat in flats {
        collector.flat(flat);
        archives.extend(flat.archives());
    }
    let archives = archives.iter().filter_map(|name| Some(archive(recipes.archives.get(name)?, keyrings.get(name))));
    Wanted {
        sets: BTreeMap::new(),
        archives: archives.collect(),
        closures: collector.closures.into_values().collect(),
        elsewhere: Vec::new(),
        sources: collector.debian_sources.into_values().collect(),
        urls: collector.urls.into_values().collect(),
        trees: collector.trees,
        same_versions: collector.same_versions,
        users: collector.users.into_values().collect(),
    }
}

fn archive(archive: &crate::recipe::Archive, keyrings: Option<&Vec<Vec<u8>>>) -> lock::Archive {
    let name = &archive.name.value.name;
    let mut areas: Vec<String> = archive.areas.iter().map(|area| area.value.clone()).collect();
    if areas.is_empty() {
        areas.push("main".to_owned());
    }
    let suites = archive.suites.iter().map(|suite| lock::Suite {
        name: suite.name.value.clone(),
        mirror: suite.mirror.as_ref().map_or_else(|| name.clone(), |mirror| mirror.value.clone()),
        only_when_named: suite.reach == Reach::OnlyWhenNamed,
        accept_expired: suite.expiry == Expiry::Accepted,
        areas: areas.clone(),
    });
    lock::Archive { name: name.clone(), suites: suites.collect(), keyrings: keyrings.cloned().unwrap_or_default() }
}

struct Collector<'a> {
    sources: &'a SourceSet,
    manifests: &'a Manifests,
    trees: Vec<WantedTree>,
    same_versions: Vec<SameVersion>,
    closures: BTreeMap<(String, Architecture), Closure>,
    debian_sources: BTreeMap<SourceId, WantedSource>,
    urls: BTreeMap<Url, WantedUrl>,
    users: BTreeMap<(IdentityKind, String), WantedUser>,
}

impl Collector<'_> {
    fn flat(&mut self, flat: &Flat) {
        let architecture = flat.situation.architecture;
        self.closure(image_closure(flat), architecture, Purpose::Image, &flat.components);
        for (name, toolset) in &flat.toolsets {
            self.closure(tool_closure(name, toolset), toolset.architecture, Purpose::Tool, &toolset.members);
        }
        for (component, members) in &flat.sysroots {
            self.closure(sysroot_closure(component), architecture, Purpose::Tool, members);
        }
        self.kernel(flat);
        for component in flat.every_component() {
            self.upstream(flat, component);
            self.same_versions(flat, component);
            for (item, span) in &component.items {
                let (kind, name) = match item {
                    Item::User(user) => (IdentityKind::User, &user.name.value),
                    Item::Group(name) => (IdentityKind::Group, &name.value),
                    _ => continue,
                };
                let wanted = WantedUser { kind, name: name.clone(), id: None, origin: origin(self.sources, *span) };
                self.users.entry((kind, name.clone())).or_insert(wanted);
            }
        }
    }

    fn closure(&mut self, name: String, architecture: Architecture, purpose: Purpose, components: &[FlatComponent]) {
        let mut closure = Closure {
            name: name.clone(),
            architecture,
            purpose,
            packages: Vec::new(),
            without: Vec::new(),
            satisfied: Vec::new(),
        };
        for component in components {
            for wanted in &component.packages {
                closure.packages.push(Want {
                    name: wanted.package.name.value.clone(),
                    archive: wanted.archive.name.clone(),
                    suite: Some(wanted.suite.clone()),
                    version: wanted.package.version.as_ref().map(|version| version.value.clone()),
                    without: wanted.package.without.iter().map(|name| name.value.clone()).collect(),
                    origin: origin(self.sources, wanted.package.name.span),
                });
            }
            for without in &component.without {
                closure.without.extend(
                    without
                        .packages
                        .iter()
                        .map(|package| Pruned { name: package.value.clone(), reason: without.reason.value.clone() }),
                );
            }
            for satisfies in &component.satisfies {
                let version = satisfies.version.as_ref().or(component.version.as_ref());
                let version = version.map(|version| version.value.clone()).unwrap_or_default();
                closure.satisfied.push((satisfies.package.value.clone(), version));
            }
        }
        if !closure.packages.is_empty() {
            self.closures.insert((name, architecture), closure);
        }
    }

    /// What the tool sets of a component say of versions, in them and in what it is linked with.
    fn same_versions(&mut self, flat: &Flat, component: &FlatComponent) {
        let tools = component.build_with.iter().filter_map(|name| Some((name, flat.toolsets.get(&name.value)?)));
        for (name, toolset) in tools {
            let closures = [
                (tool_closure(&name.value, toolset), toolset.architecture),
                (sysroot_closure(&component.name), flat.situation.architecture),
            ];
            let closures = closures.map(|(name, architecture)| ClosureId { name, architecture });
            for packages in toolset.members.iter().flat_map(|member| &member.same_version) {
                let Some(first) = packages.first() else { continue };
                let origin = origin(self.sources, first.span);
                let packages = packages.iter().map(|package| package.value.clone()).collect();
                self.same_versions.push(SameVersion { packages, closures: closures.clone(), origin });
            }
        }
    }

    fn kernel(&mut self, flat: &Flat) {
        let want = |name: &Spanned<String>, archive: &Name, suite: &str| Want {
            name: name.value.clone(),
            archive: archive.name.clone(),
            suite: Some(suite.to_owned()),
            version: None,
            without: Vec::new(),
            origin: origin(self.sources, name.span),
        };
        let (purpose, packages) = match &flat.kernel.source {
            // Its source is wanted, not the tools that it recommends to unpack and build it with.
            FlatKernelSource::Debian(source) => {
                (Purpose::Source, vec![want(&source.package, &source.archive.value, &source.suite.value)])
            }
            FlatKernelSource::Package(kernel) => {
                let packages = kernel.packages.iter();
                (Purpose::Kernel, packages.map(|found| want(&found.name, &found.archive, &found.suite)).collect())
            }
            FlatKernelSource::Upstream(upstream) => {
                let version = flat.kernel.version.as_ref().map(|version| version.value.as_str());
                return self.url(flat, upstream, version);
            }
        };
        let (name, architecture) = (kernel_closure(&flat.kernel.name), flat.situation.architecture);
        let (without, satisfied) = (Vec::new(), Vec::new());
        let closure = Closure { name: name.clone(), architecture, purpose, packages, without, satisfied };
        self.closures.insert((name, architecture), closure);
    }

    fn upstream(&mut self, flat: &Flat, component: &FlatComponent) {
        let Some(upstream) = &component.upstream else { return };
        let version = component.stated_version();
        if let Some(UpstreamSource::Debian(debian)) = &upstream.source {
            let (id, origin) = (source_id(debian, version), origin(self.sources, debian.package.span));
            self.debian_sources.insert(id.clone(), WantedSource { id, origin });
        }
        self.url(flat, upstream, version);
        for wanted in wanted_trees(flat, component, self.manifests, self.sources) {
            if !self.trees.contains(&wanted) {
                self.trees.push(wanted);
            }
        }
    }

    fn url(&mut self, flat: &Flat, upstream: &crate::recipe::Upstream, version: Option<&str>) {
        let Some(sha256) = &upstream.sha256 else { return };
        for url in urls(flat, upstream, version) {
            let origin = origin(self.sources, upstream.span);
            self.urls.insert(url.clone(), WantedUrl { url, sha256: sha256.value, origin });
        }
    }
}
