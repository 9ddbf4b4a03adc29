//! What a person sees: every kind of mistake, of every room that looks at recipes, has a bad recipe in
//! `tests/data/bad`. One file is a project of its own; several, and perhaps a lock, are a folder with a `brc.kdl`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use super::{ComposeError, ProjectPlace, project::Project};
use crate::recipe::{Code, Diagnostic, SourcePath, SourceSet, tests::shown};

/// Kinds that no recipe in the folder shows, each with the text of the file that holds the test that does, and the
/// test's name.
const SHOWN_ELSEWHERE: &[(Code, &str, &str)] = &[
    // By their mere size.
    (Code::TooLarge, include_str!("../recipe/tests.rs"), "what_is_bad_by_its_mere_size_is_told"),
    (Code::TooManyNodes, include_str!("../recipe/tests.rs"), "what_is_bad_by_its_mere_size_is_told"),
    // Those that read a project leave such a variant out.
    (Code::NoVersion, include_str!("../graph/flatten.rs"), "a_variant_without_a_version_is_only_there_to_be_extended"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad")
}

/// The name of every bad recipe, sorted.
fn names() -> Vec<String> {
    let found = fs::read_dir(folder()).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_project = entry.path().join("brc.kdl").is_file();
        if is_project { Some(name) } else { name.strip_suffix(".kdl").map(str::to_owned) }
    });
    let found: BTreeSet<String> = found.flatten().collect();
    found.into_iter().collect()
}

/// All that `brc check` says of a bad recipe, and `brc check --locked` where a lock lies beside it.
fn findings(name: &str) -> (SourceSet, Vec<Diagnostic>) {
    let path = folder().join(name);
    let is_locked = path.join("brc.lock").is_file();
    let place = match path.is_dir() {
        true => ProjectPlace { root: path, project: Some(SourcePath::new("brc.kdl")), composed: None },
        false => {
            let composed = Some(SourcePath::new(&format!("{name}.kdl")));
            ProjectPlace { root: folder(), project: None, composed }
        }
    };
    let project = match Project::read(place, BTreeMap::new()) {
        Ok(project) => project,
        Err(error) => return refused(error),
    };
    let mut found = project.warnings.clone();
    for variant in project.variants() {
        let flats = match project.flats(&variant, &project.stated_architectures(&variant)) {
            Ok(flats) => flats,
            Err(error) => {
                found.extend(refused(error).1);
                continue;
            }
        };
        if is_locked {
            let lock = project.lock().unwrap();
            found.extend(project.objections(&flats, &lock));
            let pinned = flats.iter().filter_map(|flat| project.pin(flat, &lock).err());
            found.extend(pinned.flat_map(|error| refused(error).1));
        }
    }
    (project.sources, found)
}

fn refused(error: ComposeError) -> (SourceSet, Vec<Diagnostic>) {
    match error {
        ComposeError::Recipes { sources, diagnostics } => (*sources, diagnostics),
        error => panic!("{error}"),
    }
}

#[test]
fn every_bad_recipe_shows_what_is_written_beside_it() {
    for name in names() {
        let (sources, problems) = findings(&name);
        assert!(!problems.is_empty(), "nothing is said about `{name}`");
        insta::with_settings!({
            snapshot_path => folder(), prepend_module_to_snapshot => false, omit_expression => true
        }, {
            insta::assert_snapshot!(name, shown(&sources, &problems));
        });
    }
}

#[test]
fn every_kind_of_mistake_has_a_bad_recipe() {
    let mut seen: Vec<Code> = names().iter().flat_map(|name| findings(name).1).map(|found| found.code).collect();
    for (code, file, test) in SHOWN_ELSEWHERE {
        assert!(file.contains(&format!("fn {test}()")), "`{code}`: there is no test `{test}`");
        assert!(!seen.contains(code), "`{code}` has a bad recipe: it need not be listed");
        seen.push(*code);
    }
    for code in Code::ALL {
        assert!(seen.contains(code), "no bad recipe shows `{code}`");
    }
}
