//! A flat variant and a lock become an image: every package, number and path is known.

use std::collections::BTreeSet;

use super::{
    fetched::Manifests,
    flat::{Flat, FlatComponent, FlatKernelSource, FlatToolset},
    image::{
        BuildRecipe, BuildStep, Component, Compressed, Dropped, Finish, Growth, Image, Initramfs, Install, Kernel,
        KernelSource, Layout, Package, Sysroot, Toolset, User,
    },
    placing::Placing,
    stated::stated,
    wanted::{braces, image_closure, kernel_closure, origin, sysroot_closure, tool_closure},
};
use brc_contract::Architecture;

use crate::{
    lock::{BuiltFrom, ClosureId, Lock, Standing},
    recipe::{self, ArtifactCompression, Command, Diagnostic, FileSystem, Item, Name, SourceSet, Spanned, Switch},
};

/// Gives every package of `flat` what `lock` pinned it to. `manifests` are those of its folders of source.
///
/// # Errors
/// Everything that the lock does not have, or that recipes cannot mean: an unknown owner, a path that leaves the
/// image.
pub fn pin(flat: &Flat, lock: &Lock, sources: &SourceSet, manifests: &Manifests) -> Result<Image, Vec<Diagnostic>> {
    let mut pinning = Pinning { flat, lock, sources, manifests, diagnostics: Vec::new() };
    let image = pinning.image();
    match image {
        Some(image) if pinning.diagnostics.is_empty() => Ok(image),
        _ => Err(pinning.diagnostics),
    }
}

pub(super) struct Pinning<'a> {
    pub(super) flat: &'a Flat,
    pub(super) lock: &'a Lock,
    pub(super) sources: &'a SourceSet,
    pub(super) manifests: &'a Manifests,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Pinning<'_> {
    fn image(&mut self) -> Option<Image> {
        let flat = self.flat;
        let target = flat.situation.architecture;
        let closure = self.packages(&image_closure(flat), target);
        let mut components: Vec<Component> =
            flat.components.iter().map(|component| self.component(component)).collect();
        // The closure was solved for the whole image, so its packages belong to no single group.
        let named: Vec<(usize, String)> = flat
            .components
            .iter()
            .enumerate()
            .flat_map(|(index, component)| {
                component.packages.iter().map(move |wanted| (index, wanted.package.name.value.clone()))
            })
            .collect();
        let first = named.first().map(|(index, _)| *index);
        for package in closure {
            let chain = self
                .lock
                .closure(&image_closure(flat), flat.situation.architecture)
                .map(|closure| closure.chain(&package.name))
                .unwrap_or_default();
            let root = chain.first().unwrap_or(&package.name);
            let index = named.iter().find(|(_, name)| name == root).map(|(index, _)| *index).or(first);
            if let Some(component) = index.and_then(|index| components.get_mut(index)) {
                component.packages.push(package);
            }
        }
        let toolsets = flat.toolsets.iter().map(|(name, toolset)| (name.to_string(), self.toolset(name, toolset)));
        let toolsets = toolsets.collect();
        let sysroots = flat.sysroots.iter().map(|(name, members)| (name.to_string(), self.sysroot(name, members)));
        let sysroots = sysroots.collect();
        let beside = flat.beside.iter().map(|component| self.component(component)).collect();
        let kernel = self.kernel()?;
        Some(Image {
            variant: flat.name.value.name.clone(),
            version: flat.version.value.clone(),
            architecture: target,
            platform: flat.situation.platform.clone(),
            execution: flat.execution,
            drop: drops(&flat.components),
            finish: self.finish(),
            beside,
            components,
            toolsets,
            sysroots,
            roles: flat.roles.iter().map(|(role, name)| (*role, name.value.to_string())).collect(),
            kernel,
            kernel_arguments: flat.kernel_arguments.iter().map(|word| word.value.clone()).collect(),
            stated: stated(flat, self.lock, self.sources),
            layout: self.layout(),
            compressed: self.compressed(),
            users: self.users(),
            epoch: self.lock.epoch,
        })
    }

    fn packages(&self, closure: &str, architecture: Architecture) -> Vec<Package> {
        let id = ClosureId { name: closure.to_owned(), architecture };
        let Some(closure) = self.lock.closures.get(&id) else { return Vec::new() };
        let packages = self.lock.packages_of(closure).map(|(id, package)| Package {
            name: id.name.clone(),
            version: id.version.clone(),
            archive: id.archive.clone(),
            built_for: id.built_for.debian(),
            source: match &package.built_from {
                BuiltFrom::Source { name, version } => Some((name.clone(), version.clone())),
                BuiltFrom::Unlisted | BuiltFrom::Unasked => None,
            },
            license: package
                .contents
                .as_ref()
                .map_or_else(|| "NOASSERTION".to_owned(), |contents| contents.license.clone()),
            sha256: package.sha256,
            size: package.size,
            mirror: package.mirror.clone(),
            path: package.path.clone(),
        });
        packages.collect()
    }

    fn component(&mut self, component: &FlatComponent) -> Component {
        let mut placing = self.placing(component);
        let files = placing.items(&component.items);
        let recipe = component.is_built().then(|| BuildRecipe {
            upstream: self.upstream(component),
            patches: component.patches.iter().filter_map(|patch| placing.local(patch)).collect(),
            tools: component.build_with.iter().map(|name| name.value.to_string()).collect(),
            steps: component.commands.iter().map(build_step).collect(),
            drop: component.build_drop.iter().map(|glob| glob.value.clone()).collect(),
            installs: component
                .installs
                .iter()
                .filter_map(|install| placing.install(install))
                .collect::<Vec<Install>>(),
        });
        self.diagnostics.extend(placing.diagnostics);
        Component {
            name: component.name.to_string(),
            version: self.version(component),
            license: component.license.as_ref().map(|license| license.value.clone()).unwrap_or_default(),
            needs: component.needs.iter().map(|need| need.value.to_string()).collect(),
            packages: Vec::new(),
            files,
            recipe,
            checkout: None,
            origin: origin(self.sources, component.span),
        }
    }

    fn placing<'b>(&self, component: &'b FlatComponent) -> Placing<'b>
    where
        Self: 'b,
    {
        let version = component.version.as_ref().map(|version| version.value.clone());
        Placing::new(&component.name, version, self.flat, self.lock)
    }

    fn sysroot(&mut self, name: &Name, members: &[FlatComponent]) -> Sysroot {
        let packages = self.packages(&sysroot_closure(name), self.flat.situation.architecture);
        let components = members.iter().map(|member| self.component(member)).collect();
        Sysroot { packages, drop: drops(members), components }
    }

    fn toolset(&mut self, name: &Name, toolset: &FlatToolset) -> Toolset {
        let mut files = Vec::new();
        for member in &toolset.members {
            let mut placing = self.placing(member);
            files.extend(placing.items(&member.items));
            self.diagnostics.extend(placing.diagnostics);
        }
        Toolset {
            name: name.to_string(),
            architecture: toolset.architecture,
            packages: self.packages(&tool_closure(name, toolset), toolset.architecture),
            drop: drops(&toolset.members),
            files,
        }
    }

    fn kernel(&mut self) -> Option<Kernel> {
        let kernel = &self.flat.kernel;
        let version = kernel.version.as_ref().map(|version| version.value.as_str());
        let source = match &kernel.source {
            FlatKernelSource::Debian(source) => {
                let found = self.kernel_packages([&source.package])?;
                let package = found.into_iter().find(|package| package.name == source.package.value)?;
                KernelSource::Debian { package, unpack: source.unpack.value.clone() }
            }
            FlatKernelSource::Upstream(upstream) => KernelSource::Upstream(self.url(upstream, version)?),
            FlatKernelSource::Package(finished) => KernelSource::Finished {
                packages: self.kernel_packages(finished.packages.iter().map(|package| &package.name))?,
                initramfs: Initramfs {
                    init: finished.init.as_ref()?.value.to_string(),
                    modules: self.places(&finished.modules),
                    firmware: self.places(&finished.firmware),
                },
                drop: finished.drop.iter().map(|glob| glob.value.clone()).collect(),
            },
        };
        let fill = |path: &crate::recipe::LocalPath| {
            path.fill(|brace| braces(self.flat, version, brace)).map(|path| path.to_string())
        };
        let package = match &source {
            KernelSource::Debian { package, .. } => Some(package),
            KernelSource::Finished { packages, .. } => kernel_image(&kernel.source, packages),
            KernelSource::Upstream(_) => None,
        };
        Some(Kernel {
            name: kernel.name.to_string(),
            version: version.or(package.map(|package| package.version.as_str())).unwrap_or_default().to_owned(),
            license: kernel.license.as_ref().map(|license| license.value.clone()).unwrap_or_default(),
            modules: kernel.modules,
            origin: origin(self.sources, kernel.span),
            source,
            fragments: kernel.fragments.iter().filter_map(fill).collect(),
            patches: kernel.patches.iter().filter_map(fill).collect(),
            module_certificate: kernel.module_certificate.as_ref().and_then(fill),
            tools: kernel.build_with.iter().map(|name| name.value.to_string()).collect(),
        })
    }

    /// The packages of the kernel's closure, among which must be those that the recipe names.
    fn kernel_packages<'n>(&mut self, named: impl IntoIterator<Item = &'n Spanned<String>>) -> Option<Vec<Package>> {
        let packages = self.packages(&kernel_closure(&self.flat.kernel.name), self.flat.situation.architecture);
        let missing = named.into_iter().find(|name| !packages.iter().any(|package| package.name == name.value));
        if let Some(missing) = missing {
            let message = format!("the lock has no package `{}`", missing.value);
            self.diagnostics.push(Diagnostic::error("not-locked", missing.span, message).help("run `brc lock`"));
        }
        missing.is_none().then_some(packages)
    }

    /// Each value with its `FILE:LINE`.
    fn places<T: Clone>(&self, values: &[Spanned<T>]) -> Vec<(T, String)> {
        values.iter().map(|value| (value.value.clone(), origin(self.sources, value.span))).collect()
    }

    /// The finish steps: first the locked numbers go into what packages ask of systemd-sysusers, then what recipes
    /// say, components before those that need them.
    fn finish(&self) -> Vec<Finish> {
        let mut steps = Vec::new();
        let numbers: String =
            self.users()
                .iter()
                .filter_map(|user| Some((user.name.clone(), user.uid?)))
                .map(|(name, uid)| format!(" -e 's/^\\(u!\\{{0,1\\}}[ \\t][ \\t]*{name}[ \\t][ \\t]*\\)-/\\1{uid}/'"))
                .chain(
                    self.users().iter().filter(|user| user.uid.is_none()).map(|user| {
                        format!(" -e 's/^\\(g[ \\t][ \\t]*{}[ \\t][ \\t]*\\)-/\\1{}/'", user.name, user.gid)
                    }),
                )
                .collect();
        if !numbers.is_empty() {
            // Without a single file there is nothing to number: the pattern stays as it is and names none.
            let files = "$root/usr/lib/sysusers.d/*.conf";
            let script = format!("for file in {files}; do [ ! -e \"$file\" ] || sed -i{numbers} \"$file\"; done");
            steps.push(Finish { name: "numbers of users".to_owned(), script });
        }
        for component in &self.flat.components {
            for (item, _) in &component.items {
                if let Item::Finish(finish) = item {
                    steps.push(Finish { name: finish.name.value.clone(), script: script(&finish.commands) });
                }
            }
        }
        steps
    }

    fn users(&self) -> Vec<User> {
        let users = self.lock.users.iter().filter(|(_, user)| user.standing == Standing::Active);
        let users = users.map(|(name, user)| User { name: name.clone(), uid: Some(user.uid), gid: user.gid });
        let groups = self.lock.groups.iter().filter(|(_, group)| group.standing == Standing::Active);
        let groups = groups.map(|(name, group)| User { name: name.clone(), uid: None, gid: group.gid });
        users.chain(groups).collect()
    }

    fn compressed(&self) -> Compressed {
        let zstd = |artifact: &recipe::Artifact| {
            artifact.compression.is_some_and(|compression| compression.value == ArtifactCompression::Zstd)
        };
        if self.flat.artifacts.iter().any(zstd) { Compressed::Zstd } else { Compressed::No }
    }

    fn layout(&self) -> Layout {
        let flat = self.flat;
        let data = flat.data.as_ref();
        let file_system = data.and_then(|data| data.file_system).map(|file_system| file_system.value);
        let grow = data.and_then(|data| data.grow).map(|grow| grow.value);
        Layout {
            slot_bytes: flat.slot.value.0,
            esp_bytes: flat.esp.as_ref().map(|esp| esp.value.0),
            data_file_system: match file_system.unwrap_or(FileSystem::Ext4) {
                FileSystem::Ext4 => "ext4".to_owned(),
                FileSystem::Xfs => "xfs".to_owned(),
            },
            data_growth: if grow == Some(Switch::Off) { Growth::Fixed } else { Growth::ToTheEnd },
            budget: flat.budget.as_ref().map(|budget| (budget.value.0, origin(self.sources, budget.span))),
            origin: origin(self.sources, flat.slot.span),
        }
    }
}

/// The package that holds a finished kernel: the one with the kernel's release in its name, which the one that the
/// recipe names leads to, or that one itself.
fn kernel_image<'p>(source: &FlatKernelSource, packages: &'p [Package]) -> Option<&'p Package> {
    let FlatKernelSource::Package(finished) = source else { return None };
    let is_named = |package: &&Package| finished.packages.iter().any(|named| named.name.value == package.name);
    let image = packages.iter().find(|package| package.name.starts_with("linux-image-") && !is_named(package));
    let named = || finished.packages.iter().find_map(|named| packages.iter().find(|one| one.name == named.name.value));
    image.or_else(named)
}

fn drops(components: &[FlatComponent]) -> Vec<Dropped> {
    let drops = components.iter().flat_map(|component| &component.drop);
    let drops = drops.flat_map(|drop| {
        let from = drop.from.as_ref().map(|package| package.value.clone());
        drop.globs.iter().map(move |glob| Dropped { glob: glob.value.clone(), from: from.clone() })
    });
    let drops: BTreeSet<Dropped> = drops.collect();
    drops.into_iter().collect()
}

/// All steps and scripts as one shell script.
fn script(commands: &[Command]) -> String {
    let lines = commands.iter().map(|command| match build_step(command) {
        BuildStep::Shell(text) => format!("{text}\n"),
        // Recipes have build systems in components alone.
        BuildStep::System { .. } => String::new(),
    });
    lines.collect()
}

fn build_step(command: &Command) -> BuildStep {
    match command {
        Command::Step(text) | Command::Script(text) => BuildStep::Shell(text.value.clone()),
        Command::System(step) => BuildStep::System {
            system: step.system,
            arguments: step.arguments.iter().map(|argument| argument.value.clone()).collect(),
        },
    }
}
