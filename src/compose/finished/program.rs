//! Programs that a boot is not found healthy without.

use super::{finding::Finding, root::Root};
use crate::content::RelPath;

/// What a machine fills itself: what is there is not known before.
const OF_THE_MACHINE: [&str; 3] = ["var", "run", "tmp"];

/// `stated` are the programs, each with where it is written.
pub(super) fn findings(stated: &[(RelPath, String)], root: &Root<'_>) -> Vec<Finding> {
    let is_of_the_machine =
        |path: &RelPath| OF_THE_MACHINE.iter().any(|top| path.as_str().split('/').next() == Some(top));
    let missing = stated.iter().filter(|(path, _)| !is_of_the_machine(path) && !root.is_program(path));
    let finding = |(path, origin): &(RelPath, String)| {
        let message = format!(
            "there is no program `{path}` in the image, so no boot would be found healthy: correct its path, or bring it"
        );
        Finding::wrong(origin, message)
    };
    missing.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    #[test]
    fn a_program_that_is_not_there_or_no_program_is_told() {
        let world = World::new(&[("/usr/bin/a", 0o755, "x"), ("/bin", 0, "-> usr/bin"), ("/usr/bin/text", 0o644, "x")]);
        let told = |path: &str| {
            let stated = [(RelPath::from_absolute(path).unwrap(), "a.kdl:1".to_owned())];
            format!("{:?}", findings(&stated, &world.root()))
        };
        for path in ["/usr/bin/a", "/bin/a", "/var/lib/a"] {
            assert_eq!(told(path), "[]", "{path}");
        }
        for path in ["/usr/bin/nosuch", "/usr/bin/text", "/usr/bin"] {
            assert!(told(path).contains(&format!("there is no program `{path}`")), "{path}: {}", told(path));
        }
    }
}
