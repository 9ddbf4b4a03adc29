//! What a Go component takes in of other modules, compiled by an action of its own: an edit of the component compiles
//! only that.

use crate::content::rel_path;
use std::{collections::BTreeMap, slice};

use super::{
    BUILD_SECONDS, Lowering,
    command::{command, folders, shell},
    output,
    source::with_source,
    target::{BUILD_FOLDER, GO_CACHE, shell_of},
};
use crate::{
    graph::{BuildRecipe, BuildStep, Component, FetchedWhat, Image},
    plan::{Input, Run, Source},
    recipe::BuildSystem,
};

/// Leaves nothing of the component's source but its imports, in the folder [`IMPORTS`].
const READ_IMPORTS: &str = include_str!("go-imports.sh");
/// Removes from the cache what differs from day to day.
const AFTER: &str = include_str!("go-cache-after.sh");
/// What the component's steps begin with when they have such a cache.
pub(super) const WITH_CACHE: &str = include_str!("go-cache-before.sh");
const IMPORTS: &str = "imports";
/// How a step of the shell calls the compiler.
const COMPILING: [&str; 2] = ["go build", "go install"];

impl Lowering<'_> {
    /// A build cache with all packages of Go itself and of other modules that the component takes in. `inputs` are
    /// those of the component's build; `before` is the script that makes its source what the steps find, with the
    /// input `patches`. Nothing where go does not build, or no modules are locked.
    ///
    /// Which packages those are is an action, too: where an edit does not change its outcome, nothing else is done.
    pub(super) fn compiled_modules(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        inputs: &[Input<Source>],
        (before, patches): (&str, &Input<Source>),
        toolsets: &BTreeMap<&str, Source>,
    ) -> Option<Input<Source>> {
        let languages = recipe.upstream.as_ref()?.languages.as_ref()?;
        let FetchedWhat::GoModules { .. } = languages.what else { return None };
        let script = script(&recipe.steps)?;
        // The component's own tools, as patches may want them, and those that its modules were fetched with.
        let with: Vec<String> = recipe.tools.iter().filter(|tool| **tool != languages.tool).cloned().collect();
        let mut reading =
            self.tool_inputs(&component.name, &[&with[..], slice::from_ref(&languages.tool)].concat(), toolsets);
        reading.extend(inputs.iter().filter(|input| input.at == rel_path!(BUILD_FOLDER)).chain([patches]).cloned());
        let mut read = Run {
            directory: rel_path!(BUILD_FOLDER),
            outputs: folders([("imports", rel_path!(IMPORTS))]),
            ..command(image, reading, shell(&format!("{before}{READ_IMPORTS}")), BUILD_SECONDS)
        };
        // It is the same for every architecture.
        read.environment.remove("arch");
        let imports = self.step(&component.name, "imports", read);

        let inputs = with_source(inputs, output(imports, "imports"));
        let mut environment = self.build_environment(image, component);
        // That of a checkout changes with every edit.
        environment.insert("version".to_owned(), "0".to_owned());
        let run = Run {
            environment,
            directory: rel_path!(BUILD_FOLDER),
            outputs: folders([("cache", rel_path!(GO_CACHE))]),
            ..command(image, inputs, shell(&script), BUILD_SECONDS)
        };
        let step = self.step(&component.name, "dependencies", run);
        Some(Input { owner: "dependencies".to_owned(), tree: output(step, "cache"), at: rel_path!(GO_CACHE) })
    }
}

/// What the component's steps do until go was called for the last time, but not what other build systems do.
fn script(steps: &[BuildStep]) -> Option<String> {
    let last = steps.iter().rposition(compiles)?;
    let done: String = steps.iter().take(last + 1).filter(|step| is_of_go_or_shell(step)).map(shell_of).collect();
    // What needs more than the imports is compiled with the component, and whatever is wrong is told there.
    Some(format!("(\nset +e\n{done}) || echo 'not all of it compiles alone'\n{AFTER}"))
}

fn compiles(step: &BuildStep) -> bool {
    match step {
        BuildStep::System { system, .. } => *system == BuildSystem::Go,
        BuildStep::Shell(text) => COMPILING.iter().any(|words| calls(text, words)),
    }
}

/// Whether a script has these words, and not as the end of others: `cargo build` calls no go.
fn calls(script: &str, words: &str) -> bool {
    script.match_indices(words).any(|(at, _)| !script[..at].ends_with(|before: char| before.is_alphanumeric()))
}

fn is_of_go_or_shell(step: &BuildStep) -> bool {
    matches!(step, BuildStep::Shell(_) | BuildStep::System { system: BuildSystem::Go, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_done_until_go_was_called_for_the_last_time() {
        let shell = |text: &str| BuildStep::Shell(text.to_owned());
        let system = |system| BuildStep::System { system, arguments: vec!["-o".to_owned(), "a b".to_owned()] };
        let steps = [
            shell("export CGO_ENABLED=0"),
            system(BuildSystem::Meson),
            system(BuildSystem::Go),
            shell("go build -tags x ."),
            shell("./a >said"),
        ];
        let done = script(&steps).unwrap();
        for (words, is_done) in [
            ("export CGO_ENABLED=0\n", true),
            ("set -- '-o' 'a b'\n# go build", true),
            ("go build -tags x .\n", true),
            ("meson", false),
            ("./a >said", false),
        ] {
            assert_eq!(done.contains(words), is_done, "{words}: {done}");
        }
        for steps in [vec![], vec![shell("make"), shell("cargo build")], vec![system(BuildSystem::Cargo)]] {
            assert_eq!(script(&steps), None, "{steps:?}");
        }
    }
}
