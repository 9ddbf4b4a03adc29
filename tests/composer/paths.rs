//! Paths: two that bring the same one, what is left out, and what git or a link has to do with it.

use std::{fs, process::Command};

use crate::{
    locking::{Project, suite},
    support::{
        archive::PackageSpec,
        package::TarEntry,
        project::{Ran, brc},
    },
};

/// Packages of which two bring the same things, and `/lib` as a link: `aa` and `bb` do not agree on a file, on the mode
/// of a folder, and on what is a folder at all.
fn packages() -> Vec<PackageSpec> {
    let folder = |path: &str, mode| TarEntry { mode, ..TarEntry::directory(path) };
    let mut base = PackageSpec::new("base", "1");
    base.files = vec![TarEntry::directory("./usr/"), TarEntry::link("./lib", b'2', "usr/lib")];
    let mut aa = PackageSpec::new("aa", "1").file("usr/lib/both", "aa").file("usr/kind", "aa");
    aa.files.push(folder("./srv/", 0o700));
    let mut bb = PackageSpec::new("bb", "1").file("lib/both", "bb").file("usr/kind/x", "bb");
    bb.files.push(folder("./srv/", 0o750));
    vec![base, aa, bb]
}

/// Recipes with a tool set of those packages. `group` stands in the group, `component` in the component that needs it.
fn recipes(group: &str, component: &str) -> String {
    format!(
        "packages \"pair\" archive=\"notes\" suite=\"notes\" {{\n    base\n    aa\n    bb\n{group}\n}}\n\
         component \"tools\" {{\n    version \"1\"\n    needs \"pair\"\n{component}\n}}\n\
         component \"made\" {{\n    version \"1\"\n    build-with \"tools\"\n    step \"true\"\n}}\n"
    )
}

/// What building `made` says when `group` and `component` are added to the recipes.
fn told(name: &str, group: &str, component: &str) -> String {
    let project = Project::new(name, &recipes(group, component), "\"made\"");
    project.publish(&[suite("notes", packages()), suite("later", vec![])]);
    let ran = Command::output(brc().arg("build").arg(&project.recipe).arg("made")).unwrap();
    // Nothing here has a shell, so the build itself fails, after its tools were put together or could not be.
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// What is said about the paths of both.
const CONFLICTS: [&str; 3] = [
    "`/usr/lib/both` is brought by both `aa` and `bb`",
    "the folder `/srv` is 0700 of 0:0 in `aa` and 0750 of 0:0 in `bb`",
    "`/usr/kind` is a file in `aa` and a folder in `bb`",
];

#[test]
fn each_way_out_of_a_conflict_is_one() {
    let all = told("paths-none", "", "");
    let ways = "say `replaces=\"…\"` with that path on the `file`, `tree`, `link`, `dir` or `install` that is meant to win, \
                or `drop \"…\"` in the component that is to go without it, of a package `drop \"…\" from=\"…\"` in its group";
    for said in CONFLICTS.iter().chain([&ways]) {
        assert!(all.contains(said), "{said}: {all}");
    }
    assert!(!all.contains("kind/x"), "what lies in the folder is no matter of its own: {all}");
    for (at, (settled, group, component)) in [
        (0, "drop \"/usr/lib/both\" from=\"aa\"", ""),
        (0, "drop \"/lib/both\" from=\"bb\"", ""),
        (0, "", "file \"/lib/both\" text=\"\" replaces=\"/usr/lib/both\""),
        (0, "", "link \"/usr/lib/both\" to=\"x\" { replaces \"/lib/both\"; }"),
        (1, "", "dir \"/srv\" mode=0o755 replaces=\"/srv\""),
        (2, "drop \"/usr/kind\" from=\"aa\"", ""),
        (2, "drop \"/usr/kind\" from=\"bb\"", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let told = told(&format!("paths-{at}"), group, component);
        for (which, said) in CONFLICTS.iter().enumerate() {
            assert_eq!(told.contains(said), which != settled, "{group} {component}: {told}");
        }
    }
}

#[test]
fn a_lock_that_is_a_link_is_written_where_it_is() {
    let project = Project::new("paths-lock", &recipes("", ""), "\"made\"");
    project.publish(&[suite("notes", packages()), suite("later", vec![])]);
    let (lock, shared) = (project.recipe.with_file_name("brc.lock"), project.recipe.with_file_name("shared"));
    fs::create_dir(&shared).unwrap();
    fs::rename(&lock, shared.join("all.lock")).unwrap();
    std::os::unix::fs::symlink("shared/all.lock", &lock).unwrap();
    let before = fs::read_to_string(&lock).unwrap();
    Ran::well(brc().arg("lock").arg(&project.recipe));
    assert!(lock.is_symlink() && !shared.join("all.lock").is_symlink());
    let after = fs::read_to_string(shared.join("all.lock")).unwrap();
    assert!(after != before && after.contains("\"aa\""), "{after}");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 1, "nothing else is left there");
    fs::remove_file(shared.join("all.lock")).unwrap();
    let output = brc().arg("lock").arg(&project.recipe).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("brc.lock` cannot be read"), "{told}");
}

#[test]
fn packages_that_cannot_be_together_are_not_composed() {
    let group = "packages \"pair\" archive=\"notes\" suite=\"notes\" {\n    aa\n    dd\n}\n";
    let project = Project::new("paths-conflict", group, "\"pair\"");
    let conflicting = PackageSpec::new("bb", "1").with("Conflicts", "cc");
    let packages = vec![
        PackageSpec::new("aa", "1").depends("bb"),
        conflicting,
        PackageSpec::new("cc", "1"),
        PackageSpec::new("dd", "1").depends("cc"),
    ];
    project.publish(&[suite("notes", packages), suite("later", vec![])]);
    let said = "package `bb` cannot be together with `cc`: it says `cc`";
    for verb in [&["compose"][..], &["plan"], &["check", "--locked"]] {
        if verb[0] == "plan" {
            Ran::well(brc().arg("lock").arg(&project.recipe));
        }
        let output = brc().args(verb).arg(&project.recipe).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(said), "{verb:?}: {told}");
    }
    // What the message says to do.
    let recipe = fs::read_to_string(&project.recipe).unwrap();
    let without = recipe.replace("    dd\n", "    dd\n    without \"cc\" reason=\"bb does the same\"\n");
    fs::write(&project.recipe, without).unwrap();
    Ran::well(brc().arg("lock").arg(&project.recipe));
    Ran::well(brc().arg("check").arg("--locked").arg(&project.recipe));
}

#[test]
fn a_local_file_that_git_tracks_is_refused() {
    let project = Project::new("paths-local", "", "");
    let folder = project.recipe.parent().unwrap();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let done = command.arg("-C").arg(folder).args(words).output();
        assert!(done.expect("this test wants git: apt-get install git").status.success(), "{words:?}");
    };
    fs::write(folder.join("brc.local.kdl"), "").unwrap();
    git(&["init", "-q"]);
    git(&["add", "brc.kdl"]);
    Ran::well(brc().arg("check").arg(&project.recipe));
    git(&["add", "brc.local.kdl"]);
    let output = brc().arg("check").arg(&project.recipe).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("is tracked by git"), "{told}");
    git(&["rm", "-q", "--cached", "brc.local.kdl"]);
    Ran::well(brc().arg("check").arg(&project.recipe));
}

#[test]
fn what_many_link_with_is_planned_once() {
    let mut recipes = String::new();
    for at in 0..60 {
        let linked = [at + 1, at + 2].into_iter().filter(|linked| *linked < 60);
        let linked: Vec<String> = linked.map(|linked| format!("    link-with \"l{linked}\"\n")).collect();
        let folder = "    upstream { folder \"src\"; }\n    build-with \"brc/finish-tools\"\n    step \"true\"\n";
        recipes.push_str(&format!("component \"l{at}\" {{\n    version \"1\"\n{folder}{}}}\n", linked.concat()));
    }
    let project = Project::new("paths-linked", &recipes, "\"l0\"");
    let source = project.recipe.with_file_name("src");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("x"), "").unwrap();
    // As many ways lead from the first to the last as the 60th number of Fibonacci.
    fs::write(project.recipe.with_file_name("brc.local.kdl"), "component \"l59\" { source \"src\"; }\n").unwrap();
    let output = brc().arg("plan").arg(&project.recipe).output().unwrap();
    let (plan, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(
        plan.lines().filter(|line| line.contains("quickstart/l") && line.contains(" build ")).count(),
        60,
        "{plan}"
    );
    assert!(told.contains("`quickstart/l59` is built from"), "{told}");
}
