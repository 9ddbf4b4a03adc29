//! A kernel with nothing conditional left.

use super::{
    Situation, component,
    flat::{FinishedKernel, FlatComponent, FlatKernel, FlatKernelPackage, FlatKernelSource},
};
use crate::recipe::{
    Brace, Change, Diagnostic, InitramfsItem, Item, Kernel, KernelItem, KernelPackage, Override, Span, Spanned,
};

/// The kernel as overrides and conditions leave it, and what it brings besides.
///
/// # Errors
/// A kernel without a source, or a finished one without a first program, under these conditions.
pub(super) fn flat_kernel(
    kernel: &Kernel,
    overrides: &[&Override],
    situation: &Situation,
) -> Result<(FlatKernel, Vec<(Item, Span)>), Diagnostic> {
    let changed = component::changes(&kernel.name, overrides).filter_map(|change| match change {
        Change::Kernel(items) => Some(items),
        _ => None,
    });
    let (mut source, mut finished, mut rest) = (None, FinishedKernel::default(), Vec::new());
    let (mut fragments, mut build_with, mut patches) = (Vec::new(), Vec::new(), Vec::new());
    let (mut module_certificate, mut version) = (None, None);
    for guarded in std::iter::once(&kernel.items).chain(changed).flat_map(|items| situation.decide(items)) {
        match guarded.item.clone() {
            KernelItem::Debian(debian) => source = Some(FlatKernelSource::Debian(debian)),
            KernelItem::Upstream(upstream) => {
                source = Some(FlatKernelSource::Upstream(match source.take() {
                    Some(FlatKernelSource::Upstream(old)) => upstream.over(old),
                    _ => upstream,
                }));
            }
            KernelItem::Package(package) => finished.packages.extend(flat_package(&package, situation)),
            KernelItem::Initramfs(items) => finished.take(situation.decide(&items).map(|guarded| &guarded.item)),
            KernelItem::Version(stated) => version = Some(stated),
            KernelItem::License(_) | KernelItem::Modules(_) => {}
            KernelItem::Config(paths) => fragments.extend(paths),
            KernelItem::BuildWith(names) => build_with.extend(names),
            KernelItem::Patch(paths) => patches.extend(paths),
            KernelItem::ModuleCertificate(path) => module_certificate = Some(path),
            KernelItem::Common(item) => rest.push((item, guarded.span)),
        }
    }
    let (name, span) = (kernel.name.value.clone(), kernel.span);
    let source = match source {
        Some(source) => source,
        None if finished.packages.is_empty() => {
            return Err(lacks(kernel, "no source here", "a `package`, `debian` or `upstream`"));
        }
        None if finished.init.is_none() => {
            return Err(lacks(kernel, "an `initramfs` without a first program", "`init \"brc/early\"`"));
        }
        None => FlatKernelSource::Package(finished),
    };
    Ok((FlatKernel { name, span, source, fragments, build_with, patches, module_certificate, version }, rest))
}

fn lacks(kernel: &Kernel, has: &str, wanted: &str) -> Diagnostic {
    let message = format!("kernel `{}` has {has}", kernel.name.value);
    Diagnostic::error("no-kernel-source", kernel.name.span, message).help(format!("write {wanted} in it"))
}

fn flat_package(package: &KernelPackage, situation: &Situation) -> Option<FlatKernelPackage> {
    let name = package.name.fill(|brace| match brace {
        Brace::Arch => Some(situation.architecture.name()),
        Brace::DebianArch => Some(situation.architecture.debian()),
        Brace::Platform => Some(situation.platform.as_str()),
        Brace::Version => None,
    })?;
    let (archive, suite) = (package.archive.value.clone(), package.suite.value.clone());
    Some(FlatKernelPackage { name: Spanned::new(name, package.name.span), archive, suite })
}

impl FinishedKernel {
    fn take<'a>(&mut self, items: impl Iterator<Item = &'a InitramfsItem>) {
        for item in items {
            match item.clone() {
                InitramfsItem::Init(name) => self.init = Some(name),
                InitramfsItem::Module(names) => self.modules.extend(names),
                InitramfsItem::Firmware(paths) => self.firmware.extend(paths),
            }
        }
    }
}

impl FlatKernel {
    /// The kernel as something that is linked with what it is started with: that is built for the target as any
    /// library is, and does not come into the root.
    pub(super) fn as_linked(&self) -> Option<FlatComponent> {
        let FlatKernelSource::Package(finished) = &self.source else { return None };
        let link_with = finished.init.iter().cloned().collect();
        Some(FlatComponent { link_with, ..FlatComponent::new(self.name.clone(), self.span) })
    }
}
