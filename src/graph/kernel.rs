//! A kernel with nothing conditional left.

use super::{
    Situation, component,
    flat::{FinishedKernel, FlatComponent, FlatKernel, FlatKernelPackage, FlatKernelSource},
};
use crate::recipe::{
    Brace, Change, Code, Diagnostic, InitramfsItem, Item, Kernel, KernelItem, KernelPackage, Modules, Override, Span,
    Spanned, no_version,
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
    let mut packages = Vec::new();
    let (mut fragments, mut build_with, mut patches) = (Vec::new(), Vec::new(), Vec::new());
    let (mut module_certificate, mut version, mut license, mut modules) = (None, None, None, None);
    for guarded in std::iter::once(&kernel.items).chain(changed).flat_map(|items| situation.decide(items)) {
        match guarded.item.clone() {
            KernelItem::Debian(debian) => source = Some(FlatKernelSource::Debian(debian)),
            KernelItem::Upstream(upstream) => {
                source = Some(FlatKernelSource::Upstream(match source.take() {
                    Some(FlatKernelSource::Upstream(old)) => upstream.over(old),
                    _ => upstream,
                }));
            }
            KernelItem::Package(package) => packages.push(package),
            KernelItem::Initramfs(items) => finished.take(situation.decide(&items).map(|guarded| &guarded.item)),
            KernelItem::Drop(globs) => finished.drop.extend(globs),
            KernelItem::Version(stated) => version = Some(stated),
            KernelItem::License(stated) => license = Some(stated),
            KernelItem::Modules(stated) => modules = Some(stated),
            KernelItem::Config(paths) => fragments.extend(paths),
            KernelItem::BuildWith(names) => build_with.extend(names),
            KernelItem::Patch(paths) => patches.extend(paths),
            KernelItem::ModuleCertificate(path) => module_certificate = Some(path),
            KernelItem::Common(item) => rest.push((item, guarded.span)),
        }
    }
    let (name, span) = (kernel.name.value.clone(), kernel.span);
    for package in &packages {
        finished.packages.push(flat_package(package, situation, version.as_ref(), kernel)?);
    }
    let of_source = [&fragments, &patches].into_iter().flatten().chain(&module_certificate).map(|path| path.span);
    let of_source = of_source.chain(build_with.iter().map(|name| name.span)).min();
    let of_finished = finished.span();
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
    if let Some(problem) = idle_word(kernel, &source, of_source, of_finished) {
        return Err(problem);
    }
    if let (FlatKernelSource::Package(_), Some(left_out)) =
        (&source, modules.filter(|stated| stated.value == Modules::LeftOut))
    {
        let message = format!("kernel `{}` comes finished, and its drivers are modules", kernel.name.value);
        let help = "leave it out, or have a kernel from source";
        return Err(Diagnostic::error(Code::FinishedKernelHasModules, left_out.span, message).help(help));
    }
    let modules = modules.map_or(Modules::Installed, |modules| modules.value);
    Ok((
        FlatKernel {
            name,
            span,
            source,
            fragments,
            build_with,
            patches,
            module_certificate,
            version,
            license,
            modules,
        },
        rest,
    ))
}

/// What is said of the other kind of kernel. The block of a kernel is looked at where it is read; an override can say
/// anything of any kernel.
fn idle_word(
    kernel: &Kernel,
    source: &FlatKernelSource,
    of_source: Option<Span>,
    of_finished: Option<Span>,
) -> Option<Diagnostic> {
    let (said, is) = match source {
        FlatKernelSource::Package(_) => (of_source, "comes finished, from a package"),
        FlatKernelSource::Debian(_) | FlatKernelSource::Upstream(_) => (of_finished, "is built from source"),
    };
    let message = format!("kernel `{}` {is}, so this says nothing", kernel.name.value);
    Some(Diagnostic::error(Code::IdleKernelWord, said?, message).help("leave it out"))
}

fn lacks(kernel: &Kernel, has: &str, wanted: &str) -> Diagnostic {
    let message = format!("kernel `{}` has {has}", kernel.name.value);
    Diagnostic::error(Code::NoKernelSource, kernel.name.span, message).help(format!("write {wanted} in it"))
}

fn flat_package(
    package: &KernelPackage,
    situation: &Situation,
    version: Option<&Spanned<String>>,
    kernel: &Kernel,
) -> Result<FlatKernelPackage, Diagnostic> {
    let name = package.name.fill(|brace| match brace {
        Brace::Arch => Some(situation.architecture.name()),
        Brace::DebianArch => Some(situation.architecture.debian()),
        Brace::Platform => Some(situation.platform.as_str()),
        Brace::Version => version.map(|version| version.value.as_str()),
    });
    let name = name.ok_or_else(|| no_version(&kernel.name.value.to_string(), package.name.span))?;
    let (archive, suite) = (package.archive.value.clone(), package.suite.value.clone());
    Ok(FlatKernelPackage { name: Spanned::new(name, package.name.span), archive, suite })
}

impl FinishedKernel {
    /// Where a recipe first speaks of it.
    fn span(&self) -> Option<Span> {
        let packages = self.packages.iter().map(|package| package.name.span);
        let modules = self.modules.iter().map(|name| name.span);
        let firmware = self.firmware.iter().map(|path| path.span);
        let init = self.init.iter().map(|name| name.span);
        packages.chain(modules).chain(firmware).chain(init).chain(self.drop.iter().map(|glob| glob.span)).min()
    }

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

#[cfg(test)]
mod tests {
    use super::{super::flatten::tests::flat, *};

    #[test]
    fn what_a_kernel_says_of_modules_and_its_licence_is_obeyed() {
        let text = r#"
            override "k" { modules #false; license "GPL-2.0-only" }
            variant "v" { version "1"; arch "x86_64"; include "k" }"#;
        let kernel = flat(text).unwrap().kernel;
        assert_eq!((kernel.modules, kernel.license.unwrap().value.as_str()), (Modules::LeftOut, "GPL-2.0-only"));
        let plain = flat(r#"variant "v" { version "1"; arch "x86_64"; include "k" }"#).unwrap().kernel;
        assert_eq!((plain.modules, plain.license), (Modules::Installed, None));
    }

    #[test]
    fn a_variant_that_changes_a_kernel_that_it_does_not_have_is_told() {
        let text = |change: &str| {
            let archive = "archive \"d\" { suite \"s\"; keyring \"k.asc\" }\ncomponent \"early\" { step \"true\" }";
            let finished =
                "package \"linux\" archive=\"d\" suite=\"s\"; initramfs { init \"early\"; module \"erofs\" }";
            let parent =
                "variant \"p\" { version \"1\"; arch \"x86_64\"; include \"k\"; override \"k\" { modules #false } }";
            format!(
                "{archive}\nkernel \"f\" {{ {finished} }}\n{parent}\n\
                 variant \"v\" {{ version \"1\"; extends \"p\"; remove \"k\"; include \"f\"; {change} }}"
            )
        };
        assert!(flat(&text("")).is_ok(), "what a parent says of its own kernel goes with it");
        let told = flat(&text("override \"k\" { license \"MIT\" }")).unwrap_err();
        assert_eq!(told.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::OtherKernel]);
    }

    #[test]
    fn a_finished_kernel_cannot_go_without_its_modules() {
        let text = |modules: &str| {
            format!(
                "archive \"d\" {{ suite \"s\"; keyring \"k.asc\" }}\ncomponent \"early\" {{ step \"true\" }}\n\
                 kernel \"f\" {{ package \"linux\" archive=\"d\" suite=\"s\"; initramfs {{ init \"early\"; module \"erofs\" }} }}\n\
                 override \"f\" {{ {modules} }}\n\
                 variant \"v\" {{ version \"1\"; arch \"x86_64\"; include \"f\" }}"
            )
        };
        // The kernel's own block cannot say it: that is refused where it is read.
        assert!(flat(&text("modules #true")).is_ok());
        let codes =
            |said: &str| -> Vec<Code> { flat(&text(said)).unwrap_err().iter().map(|found| found.code).collect() };
        assert_eq!(codes("modules #false"), [Code::FinishedKernelHasModules]);
        for said in ["config \"c\"", "patch \"p\"", "build-with \"early\"", "module-certificate \"c\""] {
            assert_eq!(codes(said), [Code::IdleKernelWord], "{said}");
        }
        assert_eq!(codes("package \"firmware-{version}\" archive=\"d\" suite=\"s\""), [Code::MissingNode]);
        let from_source = |said: &str| {
            let text = format!(
                "archive \"d\" {{ suite \"s\"; keyring \"k.asc\" }}\ncomponent \"early\" {{ step \"true\" }}\n\
                 override \"k\" {{ {said} }}\nvariant \"v\" {{ version \"1\"; arch \"x86_64\"; include \"k\" }}"
            );
            flat(&text).err().unwrap_or_default().iter().map(|found| found.code).collect::<Vec<_>>()
        };
        assert_eq!(from_source("license \"MIT\""), []);
        for said in ["package \"firmware\" archive=\"d\" suite=\"s\"", "initramfs { init \"early\" }", "drop \"/x\""] {
            assert_eq!(from_source(said), [Code::IdleKernelWord], "{said}");
        }
    }
}
