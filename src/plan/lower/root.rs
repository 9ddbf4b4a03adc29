//! The root tree: layers merged with one owner for each path, then the finish steps over it.

use std::collections::BTreeMap;

use super::{
    Lowering,
    boot::Boot,
    command::{command, environment, shell},
    kernel::BuiltKernel,
    output,
    users::numbering,
};
use crate::{
    content::{RelPath, rel_path},
    graph::{Component, Dropped, Finish, Image, Role, What},
    plan::{
        DataDisk, Goal, ImagePart, Input, Modules, Output, Replaced, Root, RootLayer, Run, SignedModules, Source,
        Visible, identity::Seed,
    },
};

/// The longest time that all finish steps together may take.
const FINISH_SECONDS: u64 = 600;

/// What the root gives.
pub(super) struct FinishedRoot {
    /// The tree that becomes the file system.
    pub tree: Source,
    /// The file that says which component owns which path.
    pub owners: Source,
}

impl Lowering<'_> {
    pub(super) fn root(
        &mut self,
        image: &Image,
        toolsets: &BTreeMap<&str, Source>,
        kernel: &BuiltKernel,
        boot: Option<&Boot>,
    ) -> FinishedRoot {
        let mut layers = Vec::new();
        for package in &image.packages {
            let tree = self.package(package);
            let drop = Dropped::of(&image.drop, &package.name);
            layers.push(RootLayer { drop, ..RootLayer::plain(&package.name, tree) });
        }
        layers.push(RootLayer::plain(&image.kernel.name, kernel.modules.clone()));
        for component in &image.components {
            self.component_layers(image, component, toolsets, &mut layers);
        }
        layers.push(self.host_files(image));
        layers.extend(boot.map(|boot| self.boot_record(image, boot)));
        let merged = self.step(&image.variant, "root", Root { layers });
        let finished = self.finish(image, toolsets, output(merged, "root"));
        let files = image.components.iter().flat_map(|component| &component.files);
        let stated = files.filter(|file| file.what == What::Folder).map(|file| file.path.clone()).collect();
        let visible = Visible { tree: finished, owners: output(merged, "owners"), stated };
        let visible = self.step(&image.variant, "visible", visible);
        let tree = self.signed(image, output(visible, "root"));
        FinishedRoot { tree: self.without_data_images(image, tree), owners: output(visible, "owners") }
    }

    /// The root without the archives that lie on the disk for data, where there are some.
    fn without_data_images(&mut self, image: &Image, tree: Source) -> Source {
        let Some(size) = image.layout.data_disk.filter(|_| image.has_data_images()) else { return tree };
        let guid = Seed::of(&image.variant, image.architecture).data_disk().bytes();
        let step = self.assemble(image, "data-disk", DataDisk { tree, guid, size });
        let goal = Goal::of_image(&image.title(), ImagePart::DataDisk);
        self.lowered.plan.goals.push((goal, output(step, "disk")));
        output(step, "root")
    }

    /// The root with all its modules signed, where the kernel has a certificate for them. They are signed apart from
    /// the rest, so that a change of something else needs no key.
    fn signed(&mut self, image: &Image, tree: Source) -> Source {
        let Some(certificate) = self.module_certificate(image) else { return tree };
        let modules = output(self.assemble(image, "modules", Modules { tree: tree.clone() }), "modules");
        let signed = output(self.assemble(image, "sign", SignedModules { modules, certificate }), "modules");
        output(self.assemble(image, "signed-root", Replaced { tree, with: signed }), "root")
    }

    fn component_layers(
        &mut self,
        image: &Image,
        component: &Component,
        toolsets: &BTreeMap<&str, Source>,
        layers: &mut Vec<RootLayer<Source>>,
    ) {
        if let Some(recipe) = &component.recipe {
            let tree = self.built(image, component, recipe, toolsets);
            let replaces = recipe.installs.iter().flat_map(|install| install.replaces.clone()).collect();
            let users =
                recipe.installs.iter().filter_map(|install| Some((install.to.clone(), install.owner?))).collect();
            let drop = recipe.drop.clone();
            layers.push(RootLayer { replaces, users, drop, ..RootLayer::plain(&component.name, tree) });
        }
        if !component.files.is_empty() {
            let tree = self.placed(&component.files);
            let tree = self.tree(tree);
            let replaces = component.files.iter().flat_map(|file| file.replaces.clone()).collect();
            layers.push(RootLayer { replaces, ..RootLayer::plain(&component.name, tree) });
        }
    }

    /// Runs the finish steps; without any, the tree stays as it is.
    fn finish(&mut self, image: &Image, toolsets: &BTreeMap<&str, Source>, merged: Source) -> Source {
        let steps: Vec<Finish> = numbering(&image.users).into_iter().chain(image.finish.iter().cloned()).collect();
        if steps.is_empty() {
            return merged;
        }
        let Some(tools) = self.role(image, Role::Finish, toolsets) else { return merged };
        let script: String = steps.iter().map(|finish| format!("echo {}\n{}\n", finish.name, finish.script)).collect();
        let mut environment = environment(image);
        environment.insert("root".to_owned(), "/target".to_owned());
        let inputs = vec![
            Input { owner: "finish tools".to_owned(), tree: tools, at: RelPath::ROOT },
            Input { owner: image.variant.clone(), tree: merged, at: rel_path!("target") },
        ];
        let run = Run {
            environment: environment.into(),
            outputs: BTreeMap::from([("root".to_owned(), Output::Changed(rel_path!("target")))]),
            ..command(image, inputs, shell(&script), FINISH_SECONDS)
        };
        let step = self.step(&image.variant, "finish", run);
        output(step, "root")
    }

    /// The tree of the tool set that does what brc needs done.
    pub(super) fn role(&mut self, image: &Image, role: Role, toolsets: &BTreeMap<&str, Source>) -> Option<Source> {
        let found = image.roles.get(&role).and_then(|name| toolsets.get(name.as_str())).cloned();
        if found.is_none() {
            self.errors.push(super::LowerError::NoTool { variant: image.variant.clone(), role: role.name() });
        }
        found
    }
}
