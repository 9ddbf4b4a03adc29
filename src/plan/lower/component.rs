//! Components that are built from source: one run, one shell for all steps.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    BUILD_SECONDS, LowerError, Lowering, VISIBLE_PROCESSORS,
    command::{command, folders, shell},
    go_modules::WITH_CACHE,
    kernel::kbuild_environment,
    output,
    source::with_source,
    target::{BUILD_FOLDER, SYSROOT, build_environment, glibc_version, has_locked_go_modules, quoted, shell_of},
};
use crate::{
    content::{RelPath, Tree, rel_path},
    graph::{BuildRecipe, BuildStep, Component, Dropped, Image, SourceTree, Sysroot},
    plan::{Input, Product, Root, RootLayer, Run, Source, Variables},
    recipe::BuildSystem,
};

/// Lays the patches of a Debian source package over its archives.
const DEBIAN_PATCHES: &str = include_str!("debian-patches.sh");
/// Lays a component's own patches over its source; asks nothing of nobody.
const APPLY_PATCHES: &str = include_str!("apply-patches.sh");
/// Copies what was built to where the image has it.
const INSTALL_FILE: &str = include_str!("install-file.sh");

impl Lowering<'_> {
    /// The tree of what a component's build left in `$out`.
    pub(super) fn built(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Source {
        if let Some(built) = self.built.get(&component.name) {
            return built.clone();
        }
        let built = self.build(image, component, recipe, toolsets);
        self.built.insert(component.name.clone(), built.clone());
        built
    }

    fn build(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Source {
        let mut inputs = self.tool_inputs(&component.name, &recipe.tools, toolsets);
        if let Some(sysroot) = image.sysroots.get(&component.name) {
            let tree = self.sysroot(image, &component.name, sysroot, toolsets);
            inputs.push(Input { owner: "sysroot".to_owned(), tree, at: rel_path!(SYSROOT) });
        }
        let upstream = recipe.upstream.as_ref();
        // Of what is checked out only crates and modules come from elsewhere: those that are locked.
        if let Some(upstream) = upstream.filter(|found| component.checkout.is_none() || found.languages.is_some()) {
            inputs.extend(self.upstream_inputs(image, component, upstream, toolsets));
        }
        if let Some(folder) = component.checkout {
            inputs = with_source(&inputs, Source::Tree(folder));
        }
        let patches =
            Input { owner: "patches".to_owned(), tree: self.patches(&recipe.patches), at: rel_path!("patches") };
        let mut script = patching(component, recipe);
        inputs.extend(self.compiled_crates(image, component, recipe, &inputs));
        if let Some(cache) = self.compiled_modules(image, component, recipe, &inputs, (&script, &patches), toolsets) {
            inputs.push(cache);
            script.push_str(WITH_CACHE);
        }
        inputs.push(patches);
        script.push_str(&steps(recipe));
        let mut environment = self.build_environment(image, component);
        if recipe.steps.iter().any(|step| matches!(step, BuildStep::System { system: BuildSystem::Kbuild, .. })) {
            let kernel = image.kernel.name.clone();
            match self.kernel(image, toolsets).devel {
                Some(tree) => inputs.push(Input { owner: kernel, tree, at: rel_path!("kernel") }),
                None => self.errors.push(LowerError::NoKernelTree { component: component.name.clone(), kernel }),
            }
            environment.extend(kbuild_environment(image));
        }
        let run = Run {
            environment,
            directory: rel_path!(BUILD_FOLDER),
            outputs: folders([("out", rel_path!("out"))]),
            product: Some(Product { built_at: rel_path!(BUILD_FOLDER), glibc: glibc_version(image) }),
            ..command(image, inputs, shell(&script), BUILD_SECONDS)
        };
        let step = self.step(&component.name, "build", run);
        output(step, "out")
    }

    /// The environment of a component's steps: the same for all of one version, but for what Go is told of modules.
    pub(super) fn build_environment(&mut self, image: &Image, component: &Component) -> Variables {
        let known = self.environments.entry((component.version.clone(), has_locked_go_modules(component)));
        known.or_insert_with(|| build_environment(image, component, VISIBLE_PROCESSORS).into()).clone()
    }

    /// What a component is linked with, as one tree: packages and components of the target.
    fn sysroot(
        &mut self,
        image: &Image,
        component: &str,
        sysroot: &Sysroot,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Source {
        let mut layers = vec![RootLayer::plain("brc", self.merged_usr())];
        for package in &sysroot.packages {
            let tree = self.package(package);
            let drop = Dropped::of(&sysroot.drop, &package.name);
            layers.push(RootLayer { drop, ..RootLayer::plain(&package.name, tree) });
        }
        for member in &sysroot.components {
            if let Some(recipe) = &member.recipe {
                let tree = self.built(image, member, recipe, toolsets);
                layers.push(RootLayer::plain(&member.name, tree));
            }
            if !member.files.is_empty() {
                let tree = self.placed(&member.files);
                let tree = self.tree(tree);
                layers.push(RootLayer::plain(&member.name, tree));
            }
        }
        let step = self.step(component, "sysroot", Root { layers });
        output(step, "root")
    }

    pub(super) fn patches(&mut self, patches: &[String]) -> Source {
        let mut tree = Tree::new();
        for (index, patch) in patches.iter().enumerate() {
            let name = patch.rsplit('/').next().unwrap_or(patch);
            if let (Some(entry), Ok(at)) = (self.local(patch), RelPath::new(&format!("{index:03}-{name}"))) {
                self.place(&mut tree, &at, entry, None);
            }
        }
        self.tree(tree)
    }
}

/// What makes the source what the steps find.
fn patching(component: &Component, recipe: &BuildRecipe) -> String {
    let is_debian = recipe.upstream.as_ref().is_some_and(|found| matches!(found.source, SourceTree::Debian(_)));
    let debian = if is_debian && component.checkout.is_none() { DEBIAN_PATCHES } else { "" };
    let own = if recipe.patches.is_empty() { "" } else { APPLY_PATCHES };
    format!("{debian}{own}")
}

/// Steps and installs, as one script.
fn steps(recipe: &BuildRecipe) -> String {
    let mut script = String::new();
    recipe.steps.iter().for_each(|step| script.push_str(&shell_of(step)));
    if !recipe.installs.is_empty() {
        script.push_str(INSTALL_FILE);
    }
    for install in &recipe.installs {
        let mode = install.mode.map_or(String::new(), |mode| format!(" {mode:o}"));
        let to = quoted(&format!("/out/{}", install.to.as_str()));
        // Writing to a String cannot fail.
        let _ = writeln!(script, "install_file {} {to}{mode}", quoted(&install.from));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Install;

    #[test]
    fn names_reach_the_shell_as_they_are() {
        let recipe = BuildRecipe {
            upstream: None,
            patches: vec![],
            tools: vec![],
            steps: vec![
                BuildStep::Shell("make".to_owned()),
                BuildStep::System { system: BuildSystem::Go, arguments: vec!["-o".to_owned(), "a b".to_owned()] },
            ],
            drop: vec![],
            installs: vec![Install {
                from: "it's $x".to_owned(),
                to: RelPath::new("usr/bin/x").unwrap(),
                mode: Some(0o755),
                owner: None,
                replaces: Vec::new(),
            }],
        };
        let script = steps(&recipe);
        assert!(script.starts_with("make\n(\nset -- '-o' 'a b'\n# go build"), "{script}");
        let install = "install_file 'it'\\''s $x' '/out/usr/bin/x' 755\n";
        assert!(script.ends_with(install), "{script}");
    }
}
