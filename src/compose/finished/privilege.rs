//! Files that run as somebody else than whoever starts them: only those that a recipe names.

use super::{finding::Finding, root::Root};
use crate::{
    content::{Entry, RelPath, rel_path},
    image::FACTORY,
};

/// setuid and setgid.
const BITS: u16 = 0o6000;
/// Where Linux keeps the capabilities of a file (capabilities(7)).
const CAPABILITIES: &str = "security.capability";

/// `stated` are the files that may, each with the place that says so.
pub(super) fn findings(title: &str, stated: &[(RelPath, String)], root: &Root<'_>) -> Vec<Finding> {
    // What is stated below `/var` lies where it is copied from.
    let real = |path: &RelPath| root.real(path).or_else(|| root.real(&rel_path!(FACTORY).join(path)));
    let allowed: Vec<(Option<RelPath>, &(RelPath, String))> =
        stated.iter().map(|stated| (real(&stated.0), stated)).collect();
    let mut found = Vec::new();
    for (path, what) in special(root) {
        if !allowed.iter().any(|(real, _)| real.as_ref() == Some(path)) {
            let message = format!(
                "`{path}` has {what}, and no recipe says so: write `setuid \"{path}\" reason=\"…\"` or, where a recipe \
                 brings it, `mode=`; or take it away: `step \"chmod 755 $root{path}\"` in a `finish`"
            );
            found.push(Finding::wrong(title, message));
        }
    }
    for (real, (path, origin)) in allowed {
        if real.is_none_or(|real| special(root).all(|(special, _)| *special != real)) {
            let message = format!("`{path}` is no file with a setuid or setgid bit or capabilities: leave it out");
            found.push(Finding::wrong(origin, message));
        }
    }
    found
}

/// Every such file, and what makes it one. The setgid bit of a folder only says whose new files in it are.
fn special<'a>(root: &Root<'a>) -> impl Iterator<Item = (&'a RelPath, String)> {
    let tree = root.tree;
    let files = tree.special_metadata().filter(|(path, _)| matches!(tree.entry(path), Some(Entry::File { .. })));
    files.filter_map(|(path, metadata)| {
        let what = if metadata.mode & BITS != 0 {
            format!("the mode {:o}", metadata.mode)
        } else if metadata.xattrs.contains_key(CAPABILITIES) {
            "file capabilities".to_owned()
        } else {
            return None;
        };
        Some((path, what))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    fn told(world: &World, stated: &[(&str, &str)]) -> Vec<Finding> {
        let path = |path| RelPath::from_absolute(path).unwrap();
        let stated: Vec<_> = stated.iter().map(|(at, origin)| (path(at), (*origin).to_owned())).collect();
        findings("node x86_64", &stated, &world.root())
    }

    #[test]
    fn a_setuid_file_that_no_recipe_names_is_told_and_so_is_a_name_for_none() {
        let world = World::new(&[
            ("/usr/bin/mount", 0o4755, "x"),
            ("/usr/bin/wall", 0o2755, "x"),
            ("/usr/bin/plain", 0o755, "x"),
            ("/bin", 0, "-> usr/bin"),
        ]);
        let all = told(&world, &[]);
        assert_eq!(all.len(), 2, "{all:?}");
        let Finding::Wrong(first) = &all[0] else { panic!("{all:?}") };
        assert!(first.starts_with("node x86_64: `/usr/bin/mount` has the mode 4755, and no recipe says so"), "{first}");
        // A recipe may name it through a link.
        assert_eq!(told(&world, &[("/bin/mount", "a.kdl:1"), ("/usr/bin/wall", "a.kdl:2")]), []);
        let idle = told(&world, &[("/bin/mount", "a"), ("/usr/bin/wall", "a"), ("/usr/bin/plain", "a.kdl:3")]);
        assert!(matches!(&idle[..], [Finding::Wrong(text)] if text.starts_with("a.kdl:3: `/usr/bin/plain` is no")));
        let kept = World::new(&[("/usr/share/factory/var/lib/s", 0o4755, "x")]);
        assert_eq!(told(&kept, &[("/var/lib/s", "a.kdl:1")]), []);
    }
}
