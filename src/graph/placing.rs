//! What recipes put into an image, as paths: files, links, folders, units, masks, users.

use brc_contract::well_known;

use super::{
    flat::Flat,
    placed::{Install, Placed, What},
    settings::template_path,
};
use crate::{
    content::RelPath,
    lock::{Lock, Standing},
    recipe::{
        Brace, Code, Content, Diagnostic, HealthCheck, HealthItem, InstallItem, Item, LocalPath, Name, Owner, Span,
        Spanned, Template, UnitItem, UserItem,
    },
};

/// Where units and their drop-ins lie in an image.
pub(super) const UNITS: &str = "usr/lib/systemd/system";
/// Where an administrator's word lies, which counts more: masks.
pub(super) const MASKS: &str = "etc/systemd/system";

/// Turns the items of one component into paths.
pub(super) struct Placing<'a> {
    name: &'a Name,
    version: Option<String>,
    flat: &'a Flat,
    lock: &'a Lock,
    placed: Vec<Placed>,
    pub diagnostics: Vec<Diagnostic>,
}

fn paths(stated: &[Spanned<RelPath>]) -> Vec<RelPath> {
    stated.iter().map(|path| path.value.clone()).collect()
}

impl<'a> Placing<'a> {
    /// Nothing placed yet.
    pub fn new(name: &'a Name, version: Option<String>, flat: &'a Flat, lock: &'a Lock) -> Self {
        Placing { name, version, flat, lock, placed: Vec::new(), diagnostics: Vec::new() }
    }

    /// Everything that `items` put somewhere.
    pub fn items(&mut self, items: &[(Item, Span)]) -> Vec<Placed> {
        let mut users = String::new();
        let mut modules = String::new();
        for (item, _) in items {
            match item {
                Item::File(file) => {
                    let owner = self.owner(file.owner.as_ref());
                    let what = self.content(&file.content);
                    if let (Some(path), Some(what)) = (self.path(&file.to), what) {
                        let replaces = paths(&file.replaces);
                        let mode = file.mode.map(|mode| mode.value).or(Some(0o644));
                        self.placed.push(Placed { path, what, mode, owner, replaces });
                    }
                }
                Item::Tree(tree) => {
                    if let (Some(path), Some(from)) = (self.path(&tree.to), self.local(&tree.from)) {
                        self.place(path, What::LocalTree(from), paths(&tree.replaces));
                    }
                }
                Item::Link(link) => {
                    if let (Some(path), Some(to)) = (self.path(&link.at), self.fill(&link.to.value)) {
                        self.place(path, What::Link(to), paths(&link.replaces));
                    }
                }
                Item::Directory(folder) => {
                    let owner = self.owner(folder.owner.as_ref());
                    if let Some(path) = self.path(&folder.at) {
                        let mode = folder.mode.map(|mode| mode.value);
                        let replaces = paths(&folder.replaces);
                        self.placed.push(Placed { path, what: What::Folder, mode, owner, replaces });
                    }
                }
                Item::User(user) => users.push_str(&self.user(user)),
                Item::Group(group) => users.push_str(&self.group(group)),
                Item::Unit(unit) => self.unit(unit),
                Item::Mask(unit) => {
                    self.at(&format!("{MASKS}/{}", unit.value), What::Link("/dev/null".to_owned()), unit.span)
                }
                Item::KernelModule(module) => modules.push_str(&format!("{}\n", module.value)),
                Item::EmbedImage(image) => {
                    if let Some(from) = self.local(&image.file) {
                        let name = from.rsplit('/').next().unwrap_or_default().to_owned();
                        let folder =
                            if image.is_on_data() { well_known::DATA_ARCHIVES } else { well_known::EMBEDDED_IMAGES };
                        self.at(&format!("{folder}/{name}"), What::Local(from), image.file.span);
                    }
                }
                Item::Health(check) => self.health(check),
                Item::Template(made) => {
                    let at = self.fill(&made.to.value).and_then(|to| template_path(&to));
                    if let (Some(path), Some(what)) = (at, self.content(&made.content)) {
                        self.place(path, what, Vec::new());
                    }
                }
                Item::Setuid(_) | Item::KernelArgument(_) | Item::Finish(_) => {}
            }
        }
        let file = format!("{}.conf", self.name.to_string().replace('/', "-"));
        for (folder, text) in [("usr/lib/sysusers.d", users), ("usr/lib/modules-load.d", modules)] {
            if let (false, Ok(path)) = (text.is_empty(), RelPath::new(&format!("{folder}/{file}"))) {
                self.place(path, What::Text(text), Vec::new());
            }
        }
        std::mem::take(&mut self.placed)
    }

    /// A built file that becomes part of the image.
    pub fn install(&mut self, install: &InstallItem) -> Option<Install> {
        let to = self.path(&install.to)?;
        let replaces = paths(&install.replaces);
        let mode = install.mode.map(|mode| mode.value);
        let owner = install.owner.as_ref().map(|owner| self.owner(Some(owner)));
        Some(Install { from: self.fill(&install.from.value)?, to, mode, owner, replaces })
    }

    /// The path of a local file as the recipes know it.
    pub fn local(&self, path: &LocalPath) -> Option<String> {
        path.fill(|brace| self.brace(brace)).map(|path| path.to_string())
    }

    fn unit(&mut self, unit: &UnitItem) {
        let name = &unit.name.value;
        if let Some(what) = unit.content.as_ref().and_then(|content| self.content(content)) {
            self.at(&format!("{UNITS}/{name}"), what, unit.name.span);
        }
        for drop_in in &unit.drop_ins {
            if let Some(what) = self.content(&drop_in.content) {
                self.at(&format!("{UNITS}/{name}.d/{}", drop_in.name.value), what, drop_in.span);
            }
        }
    }

    /// The unit that checks, and what makes the boot wait for it.
    fn health(&mut self, check: &HealthItem) {
        let unit = format!("brc-health-{}.service", check.name.value);
        let (word, value) = match &check.what {
            HealthCheck::Unit(unit) => ("unit", quoted(&unit.value)),
            HealthCheck::Http(url) => ("http", quoted(&url.value)),
            // Its words are parted as systemd parts them.
            HealthCheck::Command(command) => ("command", format!("-- {}", command.value.replace('%', "%%"))),
        };
        let (name, seconds) = (&check.name.value, check.within_seconds);
        let text = format!(
            "[Unit]\nDescription=Whether {name} is healthy\nBefore=boot-complete.target\nAfter=multi-user.target\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec={}\n\
             ExecStart=/usr/bin/brc-agent health --within {seconds} {word} {value}\n",
            seconds.saturating_add(30)
        );
        self.at(&format!("{UNITS}/{unit}"), What::Text(text), check.name.span);
        let link = What::Link(format!("../{unit}"));
        self.at(&format!("{UNITS}/boot-complete.target.requires/{unit}"), link, check.name.span);
    }

    /// The lines of sysusers.d(5) with the number that the lock gave.
    fn user(&mut self, user: &UserItem) -> String {
        let name = &user.name.value;
        let Some(locked) = self.lock.users.get(name) else {
            self.not_locked("user", &user.name);
            return String::new();
        };
        let comment = user.comment.as_ref().map_or("-".to_owned(), |comment| quoted(&comment.value));
        let path = |path: &Option<Spanned<RelPath>>| {
            path.as_ref().map_or("-".to_owned(), |path| quoted(&path.value.to_string()))
        };
        let mut lines = format!("u {name} {} {comment} {} {}\n", locked.uid, path(&user.home), path(&user.shell));
        for group in &user.groups {
            if self.lock.gid(&group.value).is_none() {
                let message = format!("nothing in the image makes a group `{}`", group.value);
                let help = format!("write `group \"{}\"` in the component, then run `brc lock`", group.value);
                self.diagnostics.push(Diagnostic::error(Code::UnknownGroup, group.span, message).help(help));
            }
            lines.push_str(&format!("m {name} {}\n", group.value));
        }
        lines
    }

    fn group(&mut self, group: &Spanned<String>) -> String {
        match self.lock.gid(&group.value) {
            Some(gid) => format!("g {} {gid}\n", group.value),
            None => {
                self.not_locked("group", group);
                String::new()
            }
        }
    }

    fn not_locked(&mut self, kind: &str, name: &Spanned<String>) {
        let message = format!("the lock has no number for {kind} `{}`", name.value);
        self.diagnostics.push(Diagnostic::error(Code::NotLocked, name.span, message).help("run `brc lock`"));
    }

    fn content(&self, content: &Content) -> Option<What> {
        match content {
            Content::From(path) => Some(What::Local(self.local(path)?)),
            Content::Text(text) if text.value.is_empty() || text.value.ends_with('\n') => {
                Some(What::Text(text.value.clone()))
            }
            Content::Text(text) => Some(What::Text(format!("{}\n", text.value))),
        }
    }

    fn owner(&mut self, owner: Option<&Spanned<Owner>>) -> (u32, u32) {
        let Some(stated) = owner else { return (0, 0) };
        let user = &stated.value.user;
        let known = self.lock.users.get(user).filter(|user| user.standing == Standing::Active);
        let known = known.map(|user| (user.uid, user.gid));
        let (uid, own_gid) = match known {
            Some(numbers) => numbers,
            None if user == "root" => (0, 0),
            None => {
                self.unknown("user", user, stated.span);
                (0, 0)
            }
        };
        let Some(group) = &stated.value.group else { return (uid, own_gid) };
        match self.lock.gid(group) {
            Some(gid) => (uid, gid),
            None if group == "root" => (uid, 0),
            None => {
                self.unknown("group", group, stated.span);
                (uid, 0)
            }
        }
    }

    fn unknown(&mut self, kind: &str, name: &str, span: Span) {
        let message = format!("nothing in the image makes a {kind} `{name}`");
        let diagnostic = Diagnostic::error(Code::UnknownOwner, span, message);
        let help = format!("write `{kind} \"{name}\"` in the component, then run `brc lock`");
        self.diagnostics.push(diagnostic.help(help));
    }

    pub(super) fn path(&mut self, template: &Spanned<Template>) -> Option<RelPath> {
        let filled = self.fill(&template.value)?;
        match RelPath::from_absolute(&filled) {
            Ok(path) => Some(path),
            Err(error) => {
                self.diagnostics.push(Diagnostic::error(Code::BadPath, template.span, error.to_string()));
                None
            }
        }
    }

    fn at(&mut self, path: &str, what: What, span: Span) {
        match RelPath::new(path) {
            Ok(path) => self.place(path, what, Vec::new()),
            Err(error) => self.diagnostics.push(Diagnostic::error(Code::BadPath, span, error.to_string())),
        }
    }

    fn place(&mut self, path: RelPath, what: What, replaces: Vec<RelPath>) {
        self.placed.push(Placed { path, what, mode: None, owner: (0, 0), replaces });
    }

    fn fill(&self, template: &Template) -> Option<String> {
        template.fill(|brace| self.brace(brace))
    }

    fn brace(&self, brace: Brace) -> Option<&str> {
        self.flat.brace(self.version.as_deref(), brace)
    }
}

/// A text as sysusers.d(5) reads it back unchanged: quoted, with `%`, `"` and `\` protected.
fn quoted(text: &str) -> String {
    let escaped = text.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::{super::flatten::tests::flat, *};
    use crate::lock::{Group, User};

    /// What the items of the component `a` become, with a lock that has a user `a` and a group `mine`.
    fn placed(items: &str) -> (Vec<Placed>, Vec<Diagnostic>) {
        let text = format!(
            "component \"a\" {{ {items} }}\nvariant \"v\" {{ version \"1\"; arch \"x86_64\"; include \"k\" \"a\" }}"
        );
        let flat = flat(&text).unwrap();
        let mut lock = Lock::default();
        lock.users.insert("a".to_owned(), User { uid: 900, gid: 900, standing: Standing::Active });
        lock.groups.insert("mine".to_owned(), Group { gid: 899, standing: Standing::Active });
        lock.groups.insert("old".to_owned(), Group { gid: 898, standing: Standing::Retired });
        let component = &flat.components[0];
        let mut placing = Placing::new(&component.name, None, &flat, &lock);
        let placed = placing.items(&component.items);
        (placed, placing.diagnostics)
    }

    #[test]
    fn users_and_groups_reach_sysusers_as_they_are_said_with_their_numbers() {
        let user = r##"user "a" comment="b 100% \"c\" \\d" home="/srv/my 50% home" shell="/usr/bin/my sh" { group "mine" }
            group "mine""##;
        let (placed, diagnostics) = placed(user);
        assert_eq!(diagnostics, []);
        let lines =
            "u a 900 \"b 100%% \\\"c\\\" \\\\d\" \"/srv/my 50%% home\" \"/usr/bin/my sh\"\nm a mine\ng mine 899\n";
        assert_eq!(placed[0].what, What::Text(lines.to_owned()));
    }

    #[test]
    fn a_group_that_nothing_makes_is_told() {
        for (items, code) in [
            (r#"user "a" { group "none" }"#, Code::UnknownGroup),
            (r#"user "a" { group "old" }"#, Code::UnknownGroup),
            (r#"group "other""#, Code::NotLocked),
            (r#"file "/a" text="" owner="a:none""#, Code::UnknownOwner),
        ] {
            let codes: Vec<Code> = placed(items).1.iter().map(|found| found.code).collect();
            assert_eq!(codes, [code], "{items}");
        }
    }
}
