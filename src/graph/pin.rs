//! A flat variant and a lock become an image: every package, number and path is known.

use std::collections::BTreeSet;

use super::{
    flat::{Flat, FlatComponent, FlatKernelSource, FlatToolset, Manifests},
    image::{
        Artifact, BuildRecipe, BuildStep, Component, Dropped, Finish, Growth, Image, Initramfs, Kernel, KernelSource,
        Layout, Package, Sysroot, Toolset, User,
    },
    lock_name::{image_closure, kernel_closure, sysroot_closure, tool_closure},
    origin::origin,
    pinning::Pinning,
    placed::Install,
    placing::Placing,
    settings::image_settings,
    stated::stated,
};
use brc_contract::Architecture;

use crate::{
    lock::{BuiltFrom, ClosureId, Lock, Standing},
    recipe::{
        ArtifactCompression, Code, Command, Data, DataDisk, Diagnostic, FileSystem, Item, Name, SourceSet, Spanned,
        Switch,
    },
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

/// The size of the disk of the data's own when no recipe says one.
const DATA_DISK_BYTES: u64 = 20 << 30;

impl Pinning<'_> {
    fn image(&mut self) -> Option<Image> {
        let flat = self.flat;
        let target = flat.situation.architecture;
        let packages = self.packages(&image_closure(flat), target);
        let components = flat.components.iter().map(|component| self.component(component)).collect();
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
            packages,
            components,
            toolsets,
            sysroots,
            roles: flat.roles.iter().map(|(role, name)| (*role, name.value.to_string())).collect(),
            kernel,
            kernel_arguments: flat.kernel_arguments.iter().map(|word| word.value.clone()).collect(),
            settings: image_settings(flat),
            stated: stated(flat, self.lock, self.sources),
            layout: self.layout(),
            artifacts: artifacts(flat),
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
            files,
            recipe,
            checkout: None,
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
            path.fill(|brace| self.flat.brace(version, brace)).map(|path| path.to_string())
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
            self.diagnostics.push(Diagnostic::error(Code::NotLocked, missing.span, message).help("run `brc lock`"));
        }
        missing.is_none().then_some(packages)
    }

    /// Each value with its `FILE:LINE`.
    fn places<T: Clone>(&self, values: &[Spanned<T>]) -> Vec<(T, String)> {
        values.iter().map(|value| (value.value.clone(), origin(self.sources, value.span))).collect()
    }

    /// The finish steps, components before those that need them.
    fn finish(&self) -> Vec<Finish> {
        let items = self.flat.components.iter().flat_map(|component| &component.items);
        let steps = items.filter_map(|(item, _)| match item {
            Item::Finish(finish) => Some(Finish { name: finish.name.value.clone(), script: script(&finish.commands) }),
            _ => None,
        });
        steps.collect()
    }

    fn users(&self) -> Vec<User> {
        let users = self.lock.users.iter().filter(|(_, user)| user.standing == Standing::Active);
        let users = users.map(|(name, user)| User { name: name.clone(), uid: Some(user.uid), gid: user.gid });
        let groups = self.lock.groups.iter().filter(|(_, group)| group.standing == Standing::Active);
        let groups = groups.map(|(name, group)| User { name: name.clone(), uid: None, gid: group.gid });
        users.chain(groups).collect()
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
            data_disk: data.and_then(data_disk),
            data_growth: if grow == Some(Switch::Off) { Growth::Fixed } else { Growth::ToTheEnd },
            budget: flat.budget.as_ref().map(|budget| (budget.value.0, origin(self.sources, budget.span))),
            origin: origin(self.sources, flat.slot.span),
        }
    }
}

/// The size of the disk that the data lies on, where that is another one than the system's.
fn data_disk(data: &Data) -> Option<u64> {
    let is_separate = data.disk.is_some_and(|disk| disk.value == DataDisk::Separate);
    is_separate.then(|| data.size.map_or(DATA_DISK_BYTES, |size| size.value.0))
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

fn artifacts(flat: &Flat) -> BTreeSet<Artifact> {
    let stated = flat.artifacts.iter().map(|artifact| Artifact {
        kind: artifact.kind.value,
        compression: artifact.compression.map_or(ArtifactCompression::Plain, |compression| compression.value),
    });
    stated.chain([Artifact::DISK]).collect()
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
