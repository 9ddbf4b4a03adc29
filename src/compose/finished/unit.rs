//! Units: those that recipes enable are there and start, those that they change or mask are there (systemd.unit(5)).

use super::{finding::Finding, root::Root};
use crate::{
    content::{Entry, RelPath},
    graph::{StatedUnit, UnitVerb, template_of},
    store::StoreError,
};

/// Where an administrator's units and all links of enabled ones lie.
const OWN: &str = "etc/systemd/system";
/// Where units lie, what counts more first.
const FOLDERS: [&str; 3] = [OWN, "usr/local/lib/systemd/system", "usr/lib/systemd/system"];
/// Units of these kinds are there without any file.
const WITHOUT_FILE: [&str; 3] = [".device", ".scope", ".slice"];
/// A generator may make units of these kinds while the machine boots.
const GENERATED: [&str; 3] = [".mount", ".automount", ".swap"];
/// The folders with links to what a unit wants.
const LINKS: [&str; 3] = [".wants", ".requires", ".upholds"];

pub(super) fn findings(stated: &[StatedUnit], root: &Root<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for unit in stated {
        found.extend(finding(unit, root)?);
    }
    Ok(found)
}

fn finding(unit: &StatedUnit, root: &Root<'_>) -> Result<Option<Finding>, StoreError> {
    let StatedUnit { name, verb, origin } = unit;
    let ends = |kinds: &[&str]| kinds.iter().any(|kind| name.ends_with(kind));
    if *verb != UnitVerb::Enabled && ends(&WITHOUT_FILE) {
        return Ok(None);
    }
    let file = file_of(name, *verb, root);
    let missing = |does: &str| format!("there is no unit `{name}` in the image {does}: correct its name, or bring it");
    Ok(match (verb, file) {
        (UnitVerb::Enabled, None) => Some(Finding::wrong(origin, missing("to enable"))),
        (UnitVerb::Enabled, Some(file)) => not_enabled(unit, &file, root)?,
        (UnitVerb::DroppedInto, None) if !ends(&GENERATED) => {
            Some(Finding::wrong(origin, missing("that a drop-in could change")))
        }
        (UnitVerb::DroppedInto, None) => Some(Finding::odd(origin, missing("that a drop-in could change"))),
        (UnitVerb::Checked, None) => Some(Finding::wrong(origin, missing("that could be healthy"))),
        (UnitVerb::Restarted, None) => Some(Finding::wrong(origin, missing("that could start anew"))),
        // Nothing starts, which is what was asked for.
        (UnitVerb::Disabled, None) => Some(Finding::odd(origin, missing("to disable"))),
        (UnitVerb::Masked, None) => Some(Finding::odd(origin, missing("to mask"))),
        (
            UnitVerb::Disabled | UnitVerb::Masked | UnitVerb::DroppedInto | UnitVerb::Restarted | UnitVerb::Checked,
            Some(_),
        ) => None,
    })
}

/// The file of a unit, or of the template that it is an instance of. A drop-in for `a-.service` is one for every unit
/// that begins so; a mask is no unit.
fn file_of(name: &str, verb: UnitVerb, root: &Root<'_>) -> Option<RelPath> {
    let names = [Some(name.to_owned()), template_of(name).map(|(template, _)| template)];
    let stands = |folder: &&str, name: &str| {
        let path = RelPath::new(&format!("{folder}/{name}")).ok()?;
        match root.tree.entry(&path)? {
            Entry::Directory => None,
            Entry::Symlink { target } if target == "/dev/null" && verb == UnitVerb::Masked => None,
            Entry::File { .. } | Entry::Symlink { .. } => Some(path),
        }
    };
    let exact = names.iter().flatten().find_map(|name| FOLDERS.iter().find_map(|folder| stands(folder, name)));
    let (prefix, suffix) = name.rsplit_once('.')?;
    exact.or_else(|| {
        let fits = |path: &&RelPath| {
            let is_unit = path.parent().is_some_and(|folder| FOLDERS.contains(&folder.as_str()));
            is_unit && path.name().starts_with(prefix) && path.name().ends_with(&format!(".{suffix}"))
        };
        let is_prefix = prefix.ends_with('-') && prefix.len() > 1 && verb == UnitVerb::DroppedInto;
        root.tree.entries().map(|(path, _)| path).find(fits).filter(|_| is_prefix).cloned()
    })
}

/// Why a unit that is there does not start although a recipe enables it.
fn not_enabled(unit: &StatedUnit, file: &RelPath, root: &Root<'_>) -> Result<Option<Finding>, StoreError> {
    let StatedUnit { name, origin, .. } = unit;
    let own = RelPath::new(&format!("{OWN}/{name}")).ok();
    let own = own.and_then(|own| root.tree.entry(&own));
    if matches!(own, Some(Entry::Symlink { target }) if target == "/dev/null") {
        return Ok(Some(Finding::wrong(origin, format!("`{name}` is enabled here and masked elsewhere"))));
    }
    let mut without = None;
    for (path, _) in root.tree.entries().filter(|(path, entry)| is_link_to(name, path, entry)) {
        match wanting(path).filter(|wanting| !may_be_there(wanting, root)) {
            Some(wanting) => without = Some(wanting),
            None => return Ok(None),
        }
    }
    if let Some(wanting) = without {
        let message = format!(
            "`{name}` never starts: its `[Install]` section has it started by `{wanting}`, which is not in the image: \
             correct that name"
        );
        return Ok(Some(Finding::wrong(origin, message)));
    }
    let mut text = root.text(file)?.unwrap_or_default();
    for (path, _) in root.tree.entries() {
        let is_drop_in =
            path.name().ends_with(".conf") && path.parent().is_some_and(|at| at.name() == format!("{}.d", file.name()));
        if is_drop_in {
            text.push('\n');
            text.push_str(&root.text(path)?.unwrap_or_default());
        }
    }
    let section = text.lines().map(str::trim).skip_while(|line| *line != "[Install]");
    let section: Vec<&str> = section.skip(1).take_while(|line| !line.starts_with('[')).collect();
    let says = |key: &str| section.iter().any(|line| line.split('=').next().is_some_and(|own| own.trim() == key));
    let message = if ["WantedBy", "RequiredBy", "UpheldBy", "Alias"].iter().any(|key| says(key)) {
        match name.contains("@.") && !says("DefaultInstance") {
            true => format!("`{name}` is a template without a `DefaultInstance=`: enable an instance of it"),
            false => format!(
                "`{name}` is not enabled in the root: expected a finish step `systemctl --root=$root preset-all`, as \
                 component `system` has it"
            ),
        }
    } else if says("Also") {
        // Whatever it names is enabled in its place.
        return Ok(None);
    } else {
        format!(
            "`{name}` cannot be enabled: its `[Install]` section says nothing that starts it; write \
             `WantedBy=multi-user.target` there, or have another unit want it and leave `enable=` out"
        )
    };
    Ok(Some(Finding::wrong(origin, message)))
}

/// The unit whose start a link makes another one's; none of another name of a unit.
fn wanting(link: &RelPath) -> Option<String> {
    let folder = link.parent()?;
    LINKS.iter().find_map(|kind| folder.name().strip_suffix(kind)).map(str::to_owned)
}

/// Whether a unit is in the image, or may be made while the machine boots.
fn may_be_there(name: &str, root: &Root<'_>) -> bool {
    let made = WITHOUT_FILE.iter().chain(&GENERATED).any(|kind| name.ends_with(kind));
    made || file_of(name, UnitVerb::Enabled, root).is_some()
}

/// Whether an entry of the root makes a unit start: a link that some unit wants it by, or another name of it. Of a
/// template any instance will do.
fn is_link_to(name: &str, path: &RelPath, entry: &Entry) -> bool {
    let Entry::Symlink { target } = entry else { return false };
    let is_it = |found: &str| match name.split_once("@.") {
        Some((prefix, suffix)) => found.starts_with(&format!("{prefix}@")) && found.ends_with(&format!(".{suffix}")),
        None => found == name,
    };
    let Some(parent) = path.parent() else { return false };
    let is_wanted = LINKS.iter().any(|kind| parent.name().ends_with(kind)) && is_it(path.name());
    let is_alias = parent.as_str() == OWN && target.rsplit('/').next().is_some_and(is_it);
    let is_in_folder = FOLDERS.iter().any(|folder| path.as_str().starts_with(folder));
    is_in_folder && (is_wanted || is_alias)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    const UNITS: &str = "/usr/lib/systemd/system";
    const WANTED: &str = "[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n";

    fn told(world: &World, name: &str, verb: UnitVerb) -> String {
        let unit = StatedUnit { name: name.to_owned(), verb, origin: "a.kdl:3".to_owned() };
        match finding(&unit, &world.root()).unwrap() {
            None => "-".to_owned(),
            Some(Finding::Wrong(text)) => text,
            Some(Finding::Odd(text)) => format!("odd: {text}"),
        }
    }

    #[test]
    fn what_recipes_say_of_units_that_are_not_there_or_do_not_start_is_told() {
        let at = |name: &str| format!("{UNITS}/{name}");
        let link = |name: &str| format!("/etc/systemd/system/multi-user.target.wants/{name}");
        let files = [
            (at("good.service"), WANTED),
            (link("good.service"), "-> /usr/lib/systemd/system/good.service"),
            (at("tick@.service"), WANTED),
            (link("tick@a.service"), "-> /usr/lib/systemd/system/tick@.service"),
            (at("plain.service"), "[Service]\nExecStart=/usr/bin/true\n"),
            (at("static.service"), "[Service]\nExecStart=/usr/bin/true\n"),
            (at("sysinit.target.wants/static.service"), "-> ../static.service"),
            (at("also.service"), "[Install]\nAlso=good.service\n"),
            (at("dropped.service"), "[Service]\n"),
            (at("dropped.service.d/10-a.conf"), "[Install]\nWantedBy=a.target\n"),
            (at("off.service"), WANTED),
            ("/etc/systemd/system/off.service".to_owned(), "-> /dev/null"),
            ("/etc/systemd/system/nosuch.service".to_owned(), "-> /dev/null"),
            (at("aliased.service"), "[Install]\nAlias=a.service\n"),
            ("/etc/systemd/system/a.service".to_owned(), "-> /usr/lib/systemd/system/aliased.service"),
            (at("some-thing.service"), WANTED),
            (at("multi-user.target"), "[Unit]\n"),
            (at("sysinit.target"), "[Unit]\n"),
            (at("typo.service"), "[Install]\nWantedBy=mutli-user.target\n"),
            ("/etc/systemd/system/mutli-user.target.wants/typo.service".to_owned(), "-> ../typo.service"),
            (at("disk.service"), "[Install]\nWantedBy=dev-vdb.device\n"),
            ("/etc/systemd/system/dev-vdb.device.wants/disk.service".to_owned(), "-> ../disk.service"),
        ];
        let files: Vec<(&str, u16, &str)> = files.iter().map(|(path, text)| (path.as_str(), 0o644, *text)).collect();
        let world = World::new(&files);
        let no_such = "a.kdl:3: there is no unit `";
        for (name, verb, expected) in [
            ("good.service", UnitVerb::Enabled, "-"),
            ("contanierd.service", UnitVerb::Enabled, no_such),
            ("tick@a.service", UnitVerb::Enabled, "-"),
            ("tick@b.service", UnitVerb::Enabled, "is not enabled in the root"),
            ("tick@.service", UnitVerb::Enabled, "-"),
            ("tock@a.service", UnitVerb::Enabled, no_such),
            ("plain.service", UnitVerb::Enabled, "its `[Install]` section says nothing that starts it"),
            ("static.service", UnitVerb::Enabled, "-"),
            ("also.service", UnitVerb::Enabled, "-"),
            ("aliased.service", UnitVerb::Enabled, "-"),
            ("dropped.service", UnitVerb::Enabled, "is not enabled in the root"),
            (
                "typo.service",
                UnitVerb::Enabled,
                "never starts: its `[Install]` section has it started by `mutli-user.target`",
            ),
            ("disk.service", UnitVerb::Enabled, "-"),
            ("off.service", UnitVerb::Enabled, "is enabled here and masked elsewhere"),
            ("off.service", UnitVerb::Masked, "-"),
            (
                "nosuch.service",
                UnitVerb::Masked,
                "odd: a.kdl:3: there is no unit `nosuch.service` in the image to mask",
            ),
            ("nosuch2.service", UnitVerb::Disabled, "odd: "),
            ("nosuch2.service", UnitVerb::DroppedInto, no_such),
            ("good.service", UnitVerb::DroppedInto, "-"),
            ("some-.service", UnitVerb::DroppedInto, "-"),
            ("none-.service", UnitVerb::DroppedInto, no_such),
            ("system.slice", UnitVerb::DroppedInto, "-"),
            ("srv-x.mount", UnitVerb::DroppedInto, "odd: "),
        ] {
            let text = told(&world, name, verb);
            let fits = if expected == "-" { text == "-" } else { text.contains(expected) };
            assert!(fits, "{name} {verb:?}: {text}");
        }
    }
}
