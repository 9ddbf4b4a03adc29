//! The kernel: first the configuration, checked in seconds, then the compile.

use std::collections::BTreeMap;

use super::{
    Lowering,
    command::{command, environment, folders, shell},
    output,
};
use crate::{
    content::{FIXED_TIME, RelPath, Tree, rel_path},
    graph::{Image, KernelSource},
    plan::{Extract, FileOf, Input, PackagedKernel, Run, Source},
    recipe::Modules,
};

/// Unpacks the source and leaves of it what a configuration is made with, and `tinyconfig`.
const KCONFIG: &str = include_str!("kernel-kconfig.sh");
/// Lays the fragments over that, and fails with every wanted option that is missing.
const CONFIG: &str = include_str!("kernel-config.sh");
/// Compiles the kernel and its modules.
const COMPILE: &str = include_str!("kernel-compile.sh");
/// What `modules #false` says, after all fragments.
const NO_MODULES: &str = "# CONFIG_MODULES is not set\n";
/// Where fragments find the certificate: `CONFIG_SYSTEM_TRUSTED_KEYS="/certificates/modules.pem"`.
const CERTIFICATES: &str = "certificates";
const MODULE_CERTIFICATE: &str = "modules.pem";
/// The configuration takes seconds; the compile may take long on a small machine.
const CONFIG_SECONDS: u64 = 600;
const COMPILE_SECONDS: u64 = 4 * 3600;

/// What a kernel's compile gives.
pub(super) struct BuiltKernel {
    /// A tree with `kernel` (what the UKI holds) and `release` (one line).
    pub boot: Source,
    /// A tree to lay into the root: modules.
    pub modules: Source,
    /// The tree at `/kernel` while modules of others are built; empty for a kernel without modules. A finished kernel
    /// has none.
    pub devel: Option<Source>,
    /// What a finished kernel is started with.
    pub initramfs: Option<FileOf<Source>>,
}

impl Lowering<'_> {
    pub(super) fn kernel(&mut self, image: &Image, toolsets: &BTreeMap<&str, Source>) -> BuiltKernel {
        let kernel = &image.kernel;
        let (source, pattern) = match &kernel.source {
            KernelSource::Finished { packages, initramfs, drop } => {
                let packages = packages.iter().map(|package| self.package(package)).collect();
                let unpack = PackagedKernel { packages, drop: drop.clone() };
                let unpacked = self.step(&kernel.name, "unpack", unpack);
                return self.finished_kernel(image, unpacked, initramfs, toolsets);
            }
            KernelSource::Debian { package, unpack } => (self.package(package), unpack.as_str().to_owned()),
            KernelSource::Upstream(upstream) => {
                let name = super::upstream::file_name(upstream);
                (self.url(&kernel.name, upstream, Extract::Keep), format!("/{name}"))
            }
        };
        let fragments = self.fragments(image);
        let patches = self.patches(&kernel.patches);
        let tools = self.tool_inputs(&kernel.name, &kernel.tools, toolsets);
        let input = |owner: &str, tree, at| Input { owner: owner.to_owned(), tree, at };
        let unpacked = [input("source", source, rel_path!("source")), input("patches", patches, rel_path!("patches"))];
        let unpacked = [&tools[..], &unpacked].concat();
        let source = BTreeMap::from([("source".to_owned(), format!("/source{pattern}"))]);

        let mut environment = environment(image);
        environment.extend(kbuild_environment(image));
        let mut kconfig = Run {
            environment: environment.clone().into(),
            outputs: folders([("kconfig", rel_path!("out"))]),
            ..command(image, unpacked.clone(), shell(KCONFIG), CONFIG_SECONDS)
        };
        kconfig.environment.extend(source.clone());
        let kconfig = output(self.step(&kernel.name, "kconfig", kconfig), "kconfig");

        let mut config = Run {
            environment: environment.clone().into(),
            outputs: folders([("config", rel_path!("out"))]),
            ..command(image, tools, shell(CONFIG), CONFIG_SECONDS)
        };
        config.inputs.push(input("kconfig", kconfig, rel_path!("kconfig")));
        config.inputs.push(input("fragments", fragments, rel_path!("fragments")));
        let certificate = self.module_certificate(image).map(|certificate| certificate.tree);
        let certificate =
            certificate.map(|tree| Input { owner: "certificate".to_owned(), tree, at: rel_path!(CERTIFICATES) });
        config.inputs.extend(certificate.clone());
        let config = self.step(&kernel.name, "config", config);

        environment.extend(source);
        let mut run = Run {
            environment: environment.into(),
            outputs: folders([
                ("boot", rel_path!("out/boot")),
                ("modules", rel_path!("out/modules")),
                ("devel", rel_path!("out/devel")),
            ]),
            ..command(image, unpacked, shell(COMPILE), COMPILE_SECONDS)
        };
        run.inputs.push(input("config", output(config, "config"), rel_path!("config")));
        run.inputs.extend(certificate);
        let compile = self.step(&kernel.name, "compile", run);
        let given = |name| output(compile, name);
        BuiltKernel { boot: given("boot"), modules: given("modules"), devel: Some(given("devel")), initramfs: None }
    }

    /// The fragments by their order, the last word of the recipe behind them.
    fn fragments(&mut self, image: &Image) -> Source {
        let kernel = &image.kernel;
        let mut fragments = Tree::new();
        for (index, fragment) in kernel.fragments.iter().enumerate() {
            let name = fragment.rsplit('/').next().unwrap_or(fragment);
            if let (Some(entry), Ok(at)) = (self.local(fragment), RelPath::new(&format!("{index:02}-{name}"))) {
                self.place(&mut fragments, &at, entry, None);
            }
        }
        let last = RelPath::new(&format!("{:02}-modules-false", kernel.fragments.len()));
        if let (Modules::LeftOut, Ok(at)) = (kernel.modules, last) {
            let entry = self.text_entry(NO_MODULES);
            self.place(&mut fragments, &at, entry, None);
        }
        self.tree(fragments)
    }

    /// The certificate of the key that the image's modules are signed with.
    pub(super) fn module_certificate(&mut self, image: &Image) -> Option<FileOf<Source>> {
        let entry = self.local(image.kernel.module_certificate.as_ref()?)?;
        let mut tree = Tree::new();
        self.place(&mut tree, &rel_path!(MODULE_CERTIFICATE), entry, None);
        Some(FileOf { tree: self.tree(tree), path: rel_path!(MODULE_CERTIFICATE) })
    }

    /// The tool sets that a component is built with, each laid at the root.
    pub(super) fn tool_inputs(
        &mut self,
        component: &str,
        tools: &[String],
        toolsets: &BTreeMap<&str, Source>,
    ) -> Vec<Input<Source>> {
        let mut inputs = Vec::new();
        for tool in tools {
            match toolsets.get(tool.as_str()) {
                Some(tree) => {
                    inputs.push(Input { owner: tool.clone(), tree: tree.clone(), at: RelPath::ROOT });
                }
                None => self
                    .errors
                    .push(super::LowerError::NoToolset { component: component.to_owned(), tool: tool.clone() }),
            }
        }
        inputs
    }
}

/// What the kernel's own Makefiles are told: the target, and what else they would take of the time, the user and the
/// machine (Documentation/kbuild/reproducible-builds.rst).
pub(super) fn kbuild_environment(image: &Image) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("ARCH".to_owned(), image.architecture.name().replace("aarch64", "arm64")),
        // The compiler is in the kernel by name, so it has the same one on every host.
        ("CROSS_COMPILE".to_owned(), format!("{}-", image.architecture.gnu())),
        ("KBUILD_BUILD_TIMESTAMP".to_owned(), format!("@{FIXED_TIME}")),
        ("KBUILD_BUILD_USER".to_owned(), "brc".to_owned()),
        ("KBUILD_BUILD_HOST".to_owned(), "brc".to_owned()),
        ("KBUILD_BUILD_VERSION".to_owned(), "1".to_owned()),
    ])
}
