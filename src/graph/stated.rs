//! What recipes say and only the finished root can show: units, users and groups, modules, files with special rights.

use super::{flat::Flat, origin::origin, placing::Placing};
use crate::{
    content::RelPath,
    lock::Lock,
    recipe::{Enablement, HealthCheck, HealthItem, Item, SourceSet, Span, Spanned},
};

/// Everything of the kind, each with where it is written.
#[derive(Debug, Clone, Default)]
pub struct Stated {
    /// Units, in order.
    pub units: Vec<StatedUnit>,
    /// Users and groups.
    pub accounts: Vec<StatedAccount>,
    /// Programs that a `health` starts, and where that is written.
    pub programs: Vec<(RelPath, String)>,
    /// Kernel modules that are loaded at boot, and where that is written.
    pub modules: Vec<(String, String)>,
    /// Files that may have a setuid or setgid bit or file capabilities, and where that is written: `FILE:LINE`.
    pub setuid: Vec<(RelPath, String)>,
}

/// What a recipe says of a unit that something brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedUnit {
    /// The unit: `containerd.service`, `getty@tty1.service`.
    pub name: String,
    /// What is said of it.
    pub verb: UnitVerb,
    /// Where: `FILE:LINE`.
    pub origin: String,
}

/// What recipes say of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitVerb {
    /// A preset enables it.
    Enabled,
    /// A preset disables it.
    Disabled,
    /// It never starts.
    Masked,
    /// It has a drop-in.
    DroppedInto,
    /// It starts anew when settings change.
    Restarted,
    /// A boot is not healthy without it.
    Checked,
}

/// A user or group that a recipe declares, with the number that the lock gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedAccount {
    /// Its name.
    pub name: String,
    /// The user's number; `None` for a group alone.
    pub uid: Option<u32>,
    /// The group's number; a user's own group.
    pub gid: u32,
    /// The further groups that a user belongs to, with their numbers.
    pub groups: Vec<(String, u32)>,
    /// The user's shell, where the recipe says one.
    pub shell: Option<RelPath>,
    /// Where: `FILE:LINE`.
    pub origin: String,
}

/// Gathers what `flat` says of the kind.
pub(super) fn stated(flat: &Flat, lock: &Lock, sources: &SourceSet) -> Stated {
    let mut stated = Stated::default();
    let at = |span: Span| origin(sources, span);
    for component in &flat.components {
        let version = component.version.as_ref().map(|version| version.value.clone());
        let mut placing = Placing::new(&component.name, version, flat, lock);
        let mut special = |path: Option<RelPath>, mode: &Option<Spanned<u16>>| {
            if let (Some(path), Some(mode)) = (path, mode.filter(|mode| mode.value & 0o6000 != 0)) {
                stated.setuid.push((path, at(mode.span)));
            }
        };
        component.installs.iter().for_each(|install| special(placing.path(&install.to), &install.mode));
        for (item, _) in &component.items {
            if let Item::File(file) = item {
                special(placing.path(&file.to), &file.mode);
            }
        }
        for (item, span) in &component.items {
            match item {
                Item::Setuid(setuid) => {
                    stated.setuid.extend(setuid.paths.iter().map(|path| (path.value.clone(), at(path.span))));
                }
                Item::Unit(unit) => {
                    let mut say = |verb, span| {
                        let name = unit.name.value.clone();
                        stated.units.push(StatedUnit { name, verb, origin: at(span) });
                    };
                    if let Some(enablement) = unit.enable {
                        let enabled = enablement.value == Enablement::Enabled;
                        say(if enabled { UnitVerb::Enabled } else { UnitVerb::Disabled }, enablement.span);
                    }
                    unit.drop_ins.iter().for_each(|drop_in| say(UnitVerb::DroppedInto, drop_in.span));
                }
                Item::Health(HealthItem { what: HealthCheck::Unit(unit), .. }) => {
                    let verb = UnitVerb::Checked;
                    stated.units.push(StatedUnit { name: unit.value.clone(), verb, origin: at(unit.span) });
                }
                Item::Health(HealthItem { what: HealthCheck::Command(command), .. }) => {
                    let program = command.split_whitespace().next().and_then(|path| RelPath::from_absolute(path).ok());
                    stated.programs.extend(program.map(|program| (program, at(command.span))));
                }
                Item::Template(made) => stated.units.extend(made.restart.iter().map(|unit| StatedUnit {
                    name: unit.value.clone(),
                    verb: UnitVerb::Restarted,
                    origin: at(unit.span),
                })),
                Item::KernelModule(name) => stated.modules.push((name.value.clone(), at(name.span))),
                Item::Mask(unit) => {
                    let verb = UnitVerb::Masked;
                    stated.units.push(StatedUnit { name: unit.value.clone(), verb, origin: at(unit.span) });
                }
                Item::User(user) => {
                    let Some(locked) = lock.users.get(&user.name.value) else { continue };
                    let groups = user.groups.iter();
                    stated.accounts.push(StatedAccount {
                        name: user.name.value.clone(),
                        uid: Some(locked.uid),
                        gid: locked.gid,
                        groups: groups.filter_map(|name| Some((name.value.clone(), lock.gid(name)?))).collect(),
                        shell: user.shell.as_ref().map(|shell| shell.value.clone()),
                        origin: at(*span),
                    });
                }
                Item::Group(name) => stated.accounts.extend(lock.gid(name).map(|gid| StatedAccount {
                    name: name.value.clone(),
                    uid: None,
                    gid,
                    groups: Vec::new(),
                    shell: None,
                    origin: at(*span),
                })),
                _ => {}
            }
        }
    }
    stated
}

/// The template that a unit is an instance of, and the instance: `tick@a.service` is `a` of `tick@.service`
/// (systemd.unit(5)).
pub fn template_of(unit: &str) -> Option<(String, &str)> {
    let (prefix, rest) = unit.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| (format!("{prefix}@.{suffix}"), instance))
}
