//! The locked crates of a component, compiled by an action of their own: an edit of the component compiles only that.

use super::{
    BUILD_SECONDS, Lowering,
    command::{command, folders, shell},
    output,
    source::with_source,
    target::{BUILD_FOLDER, shell_of},
};
use crate::content::rel_path;
use crate::{
    graph::{BuildRecipe, BuildStep, Component, FetchedWhat, Image, SourceTree},
    plan::{Input, Run, Source},
    recipe::BuildSystem,
};

/// Empties the component's own source.
const BEFORE: &str = include_str!("crates-before.sh");
/// Removes what was made of it.
const AFTER: &str = concat!(include_str!("steps/cargo-home.sh"), include_str!("crates-after.sh"));
/// Options after which cargo works elsewhere than where we look; then everything is compiled with the component.
const ELSEWHERE: [&str; 3] = ["--target", "--manifest-path", "--config"];
/// Where cargo keeps what it compiled; a folder of the component's build, too.
const TARGET: &str = "brc-build/target";

impl Lowering<'_> {
    /// What cargo makes of the crates alone, where the component's `cargo` steps look for it. `inputs` are those of
    /// the component's build. Nothing where cargo does not build, or no crates are locked.
    pub(super) fn compiled_crates(
        &mut self,
        image: &Image,
        component: &Component,
        recipe: &BuildRecipe,
        inputs: &[Input<Source>],
    ) -> Option<Input<Source>> {
        let upstream = recipe.upstream.as_ref()?;
        let what = &upstream.languages.as_ref()?.what;
        let FetchedWhat::Crates { lock } = what else { return None };
        let script = script(&recipe.steps)?;
        let own = match (component.checkout, &upstream.source) {
            (Some(folder), _) => self.locals.checkouts.get(&folder),
            (None, SourceTree::Folder(folder)) => self.locals.sources.get(folder),
            (None, _) => None,
        };
        // Of files that people edit only what says how crates are compiled takes part; other source is locked.
        let inputs = match own.map(|tree| self.manifests(tree, what)) {
            Some(manifests) => with_source(inputs, manifests),
            None => inputs.to_vec(),
        };
        let mut environment = self.build_environment(image, component);
        // That of a checkout changes with every edit.
        environment.remove("version");
        let run = Run {
            environment,
            directory: rel_path!(BUILD_FOLDER).join(&lock.parent().unwrap_or_default()),
            outputs: folders([("target", rel_path!(TARGET))]),
            ..command(image, inputs, shell(&script), BUILD_SECONDS)
        };
        let step = self.step(&component.name, "dependencies", run);
        Some(Input { owner: "dependencies".to_owned(), tree: output(step, "target"), at: rel_path!(TARGET) })
    }
}

/// What the component's `cargo` steps do, with as much source as compiles without its own.
fn script(steps: &[BuildStep]) -> Option<String> {
    let builds: Vec<&Vec<String>> = steps.iter().filter_map(arguments_of_cargo).collect();
    let is_elsewhere = |argument: &String| ELSEWHERE.iter().any(|option| argument.starts_with(option));
    if builds.is_empty() || builds.iter().any(|arguments| arguments.iter().any(is_elsewhere)) {
        return None;
    }
    let mut script = BEFORE.to_owned();
    for arguments in builds {
        let arguments = arguments.iter().map(String::as_str).chain(["--keep-going"]).map(str::to_owned).collect();
        let build = shell_of(&BuildStep::System { system: BuildSystem::Cargo, arguments });
        // What needs more than empty source is compiled with the component, and whatever is wrong is told there.
        script.push_str(&format!("{} || echo 'not all of it compiles alone'\n", build.trim_end()));
    }
    script.push_str(AFTER);
    Some(script)
}

fn arguments_of_cargo(step: &BuildStep) -> Option<&Vec<String>> {
    match step {
        BuildStep::System { system: BuildSystem::Cargo, arguments } => Some(arguments),
        BuildStep::System { .. } | BuildStep::Shell(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo(arguments: &[&str]) -> BuildStep {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        BuildStep::System { system: BuildSystem::Cargo, arguments }
    }

    #[test]
    fn crates_are_compiled_alone_with_what_cargo_is_told() {
        let shell = || BuildStep::Shell("cd part".to_owned());
        let both = script(&[shell(), cargo(&["--bin", "a b"]), cargo(&["--features=x"])]).unwrap();
        assert!(both.contains("set -- '--bin' 'a b' '--keep-going'\n"), "{both}");
        assert!(both.contains("set -- '--features=x' '--keep-going'\n"), "{both}");
        assert!(!both.contains("cd part"), "{both}");
        for steps in [
            vec![],
            vec![shell()],
            vec![cargo(&["--manifest-path", "part/Cargo.toml"])],
            vec![cargo(&[]), cargo(&["--target=wasm32-wasip1"])],
        ] {
            assert_eq!(script(&steps), None, "{steps:?}");
        }
    }
}
