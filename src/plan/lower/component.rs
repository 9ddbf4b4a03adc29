//! Components that are built from source: one run, one shell for all steps.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Lowering, VISIBLE_PROCESSORS,
    kernel::{environment, folders, shell},
    output, path,
};
use crate::{
    content::{RelPath, Tree},
    graph::{BuildRecipe, Component, Image, SourceTree},
    plan::{Action, Input, Run, Source},
};

/// Lays the patches of a Debian source package over its archives.
const DEBIAN_PATCHES: &str = include_str!("debian-patches.sh");
/// The longest time that a component's steps may take.
const BUILD_SECONDS: u64 = 2 * 3600;

impl Lowering<'_> {
    /// The tree of what a built component installs.
    pub(super) fn built(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Source {
        let mut inputs = self.tool_inputs(&component.name, &recipe.tools, toolsets);
        if let Some(upstream) = &recipe.upstream {
            let tree = self.source(&component.name, upstream);
            inputs.push(Input { owner: "source".to_owned(), tree, at: path("build") });
        }
        let patches = self.patches(&recipe.patches);
        inputs.push(Input { owner: "patches".to_owned(), tree: patches, at: path("patches") });
        let mut environment = environment(image);
        environment.insert("version".to_owned(), component.version.clone());
        environment.insert("jobs".to_owned(), VISIBLE_PROCESSORS.to_string());
        let run = Run {
            inputs,
            command: shell(&script(recipe)),
            environment,
            directory: path("build"),
            stdin: None,
            outputs: folders(&[("out", "out")]),
            uid: 0,
            architecture: image.execution,
            epoch: image.epoch,
            processors: VISIBLE_PROCESSORS,
            timeout_seconds: BUILD_SECONDS,
        };
        let step = self.step(&component.name, "build", Action::Run(run));
        output(step, "out")
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

/// Patches, steps, installs, as one script.
fn script(recipe: &BuildRecipe) -> String {
    let mut script = String::new();
    if recipe.upstream.as_ref().is_some_and(|upstream| matches!(upstream.source, SourceTree::Debian(_))) {
        script.push_str(DEBIAN_PATCHES);
    }
    if !recipe.patches.is_empty() {
        script.push_str("for patch in /patches/*; do patch -p1 <\"$patch\"; done\n");
    }
    script.push_str(&recipe.script);
    script.push('\n');
    for install in &recipe.installs {
        let from = quoted(&install.from);
        let mode = match install.mode {
            Some(mode) => format!("{mode:o}"),
            None => format!("\"$(if [ -x {from} ]; then echo 755; else echo 644; fi)\""),
        };
        // Writing to a String cannot fail.
        let to = quoted(&format!("/out/{}", install.to.as_str()));
        let _ = writeln!(script, "install -D -m {mode} -- {from} {to}");
    }
    script
}

/// A word as the shell reads it back unchanged.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Install, Replaces};

    #[test]
    fn names_reach_the_shell_as_they_are() {
        let recipe = BuildRecipe {
            upstream: None,
            patches: vec![],
            tools: vec![],
            script: "make".to_owned(),
            installs: vec![Install {
                from: "it's $x".to_owned(),
                to: RelPath::new("usr/bin/x").unwrap(),
                mode: Some(0o755),
                owner: None,
                replaces: Replaces::Nothing,
            }],
        };
        assert_eq!(script(&recipe), "make\ninstall -D -m 755 -- 'it'\\''s $x' '/out/usr/bin/x'\n");
    }
}
