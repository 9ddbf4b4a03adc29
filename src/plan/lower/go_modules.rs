//! What a Go component takes in, compiled by actions of its own: Go's standard library by one for all components, the
//! packages of other modules by another. An edit of the component compiles only that.

use crate::content::rel_path;
use std::{collections::BTreeMap, slice};

use super::{
    BUILD_SECONDS, Lowering,
    command::{command, folders, shell},
    output,
    source::with_source,
    target::{BUILD_FOLDER, GO_CACHE, GO_FLAGS, shell_of},
};
use crate::{
    graph::{BuildRecipe, BuildStep, Component, Fetched, FetchedWhat, Image},
    plan::{Input, Output, Run, Source, StepId, Variables},
    recipe::BuildSystem,
};

/// Leaves nothing of the component's source but its imports, in the folder [`IMPORTS`].
const READ_IMPORTS: &str = include_str!("go-imports.sh");
/// Compiles all of Go's own packages. Those few that would call C are compiled once more by who does.
const STANDARD_LIBRARY: &str = "go build std || echo 'not all of it compiles alone'\n";
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
    /// Which packages of other modules those are is an action, too: where an edit does not change its outcome, nothing
    /// else is done.
    pub(super) fn compiled_modules(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        inputs: &[Input<Source>],
        (before, patches): (&str, &Input<Source>),
        toolsets: &BTreeMap<&str, Source>,
    ) -> Option<Input<Source>> {
        let Fetched { what: FetchedWhat::GoModules { .. }, tool, .. } = recipe.upstream.as_ref()?.languages.as_ref()?
        else {
            return None;
        };
        let script = script(&recipe.steps)?;
        // The component's own tools, as patches may want them, and those that its modules were fetched with.
        let with: Vec<String> = recipe.tools.iter().filter(|name| *name != tool).cloned().collect();
        let mut reading = self.tool_inputs(&component.name, &[&with[..], slice::from_ref(tool)].concat(), toolsets);
        reading.extend(inputs.iter().filter(|input| input.at == rel_path!(BUILD_FOLDER)).chain([patches]).cloned());
        let mut read = Run {
            directory: rel_path!(BUILD_FOLDER),
            outputs: folders([("imports", rel_path!(IMPORTS))]),
            ..command(image, reading, shell(&format!("{before}{READ_IMPORTS}")), BUILD_SECONDS)
        };
        // It is the same for every architecture.
        read.environment.remove("arch");
        let imports = self.step(&component.name, "imports", read);

        let mut inputs = with_source(inputs, output(imports, "imports"));
        inputs.push(self.standard_library(image, component, tool, toolsets));
        let mut environment = self.build_environment(image, component);
        // That of a checkout changes with every edit.
        environment.insert("version".to_owned(), "0".to_owned());
        let run = caching(environment, command(image, inputs, shell(&script), BUILD_SECONDS));
        Some(cache("dependencies", self.step(&component.name, "dependencies", run)))
    }

    /// Go's standard library, compiled once for all components that a tool set compiles.
    fn standard_library(
        &mut self,
        image: &Image,
        component: &Component,
        tool: &String,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Input<Source> {
        let inputs = self.tool_inputs(&component.name, slice::from_ref(tool), toolsets);
        let mut environment = self.build_environment(image, component);
        environment.remove("version");
        environment.insert("CGO_ENABLED".to_owned(), "0".to_owned());
        environment.insert("GOFLAGS".to_owned(), GO_FLAGS.to_owned());
        let script = shell(&format!("{STANDARD_LIBRARY}{AFTER}"));
        let run = caching(environment, command(image, inputs, script, BUILD_SECONDS));
        cache("standard library", self.step(tool, "standard-library", run))
    }
}

/// A run that leaves the whole cache, with what was in it before.
fn caching(mut environment: Variables, run: Run<Source>) -> Run<Source> {
    // The compiler is one process for each package, so it need not be thrifty: a fifth faster, in bounded memory.
    environment.insert("GOGC".to_owned(), "400".to_owned());
    environment.insert("GOMEMLIMIT".to_owned(), "1500MiB".to_owned());
    Run {
        environment,
        directory: rel_path!(BUILD_FOLDER),
        outputs: BTreeMap::from([("cache".to_owned(), Output::Changed(rel_path!(GO_CACHE)))]),
        ..run
    }
}

fn cache(owner: &str, step: StepId) -> Input<Source> {
    Input { owner: owner.to_owned(), tree: output(step, "cache"), at: rel_path!(GO_CACHE) }
}

/// What the component's steps do until go was called for the last time, but not what other build systems do.
fn script(steps: &[BuildStep]) -> Option<String> {
    let last = steps.iter().rposition(compiles)?;
    let done: String = steps.iter().take(last + 1).filter(|step| is_of_go_or_shell(step)).map(shell_of).collect();
    // What needs more than the imports is compiled with the component, and whatever is wrong is told there.
    Some(format!("{WITH_CACHE}(\nset +e\n{done}) || echo 'not all of it compiles alone'\n{AFTER}"))
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
