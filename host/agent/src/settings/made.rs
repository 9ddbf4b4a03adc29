//! The files that settings make.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::settings::{
    ImageSettings, KEYS, Value,
    template::{self, MAX_TEMPLATE, TemplateError},
};
use brc_linux::FileError;

/// Where the paths of what was made are kept, until the machine starts again and nothing of it is there.
const MADE: &str = "/run/brc/settings/made";
/// The most bytes of a file that was made, and of the list of them.
const MAX_MADE: usize = 4 << 20;
/// The only folder that settings make files in.
const ETC: &str = "/etc/";

/// What is changed on a machine.
pub trait Files {
    /// Puts a whole file in its place, with the folders above it.
    ///
    /// # Errors
    /// When the machine refuses.
    fn write(&mut self, path: &str, bytes: &[u8], mode: u32) -> std::io::Result<()>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When the machine refuses.
    fn remove(&mut self, path: &str) -> std::io::Result<()>;
}

/// What follows from settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    files: BTreeMap<String, (Vec<u8>, u32)>,
    /// Those that are there already as they should be.
    unchanged: BTreeSet<String>,
    /// Those that were made before and are not any more.
    gone: BTreeSet<String>,
    /// The units that are to start anew, sorted.
    pub restart: Vec<String>,
}

impl Made {
    /// What `values` make on a machine with these files. Nothing is changed yet. A file of white space alone is not made.
    ///
    /// # Errors
    /// A template that cannot be read, or makes nothing of the values.
    pub fn of(image: &ImageSettings, values: &Value, files: &brc_linux::Files) -> Result<Self, MakeError> {
        let before = before(files)?;
        let mut made =
            Made { files: BTreeMap::new(), unchanged: BTreeSet::new(), gone: BTreeSet::new(), restart: Vec::new() };
        for entry in &image.templates {
            let wrong = |source| MakeError::Template { template: entry.from.clone(), to: entry.to.clone(), source };
            let text = files.text(&entry.from, MAX_TEMPLATE)?;
            let text = template::render(&text, KEYS, values).map_err(wrong)?;
            let parts = match entry.to.ends_with('/') {
                true => template::divided(&text).map_err(wrong)?,
                false => BTreeMap::from([(String::new(), text)]),
            };
            let mut own = BTreeSet::new();
            for (name, text) in parts.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
                let path = format!("{}{name}", entry.to);
                if !path.starts_with(ETC) {
                    return Err(MakeError::Place { to: entry.to.clone() });
                }
                if files.bytes(&path, MAX_MADE).is_ok_and(|bytes| bytes == text.as_bytes()) {
                    made.unchanged.insert(path.clone());
                }
                made.files.insert(path.clone(), (text.into_bytes(), entry.mode));
                own.insert(path);
            }
            let below = |path: &&String| match entry.to.ends_with('/') {
                true => path.starts_with(&entry.to),
                false => **path == entry.to,
            };
            let is_left = |path: &&String| !own.contains(*path) && files.bytes(path, MAX_MADE).is_ok();
            let gone: Vec<String> = before.iter().filter(below).filter(is_left).cloned().collect();
            if !gone.is_empty() || own.iter().any(|path| !made.unchanged.contains(path)) {
                made.restart.extend(entry.restart.iter().cloned());
            }
            made.gone.extend(gone);
        }
        made.restart.sort();
        made.restart.dedup();
        Ok(made)
    }

    /// Whether anything changes.
    pub fn is_change(&self) -> bool {
        !self.gone.is_empty() || self.unchanged.len() < self.files.len()
    }

    /// Whether systemd must read its units again.
    pub fn is_of_systemd(&self) -> bool {
        let changed = self.files.keys().filter(|path| !self.unchanged.contains(*path)).chain(&self.gone);
        changed.into_iter().any(|path| path.starts_with("/etc/systemd/system/"))
    }

    /// Makes the files.
    ///
    /// # Errors
    /// When the machine refuses one; those before it are made, and a second try goes on from there.
    pub fn make(&self, on: &mut dyn Files) -> Result<(), MakeError> {
        let failed = |path: &str| {
            let path = path.to_owned();
            move |source| MakeError::Change { path, source }
        };
        // First what is to be removed one day: a try that fails here forgets nothing.
        let paths: BTreeSet<&String> = self.files.keys().chain(&self.gone).collect();
        let list: String = paths.iter().map(|path| format!("{path}\n")).collect();
        on.write(MADE, list.as_bytes(), 0o600).map_err(failed(MADE))?;
        for (path, (bytes, mode)) in self.files.iter().filter(|(path, _)| !self.unchanged.contains(*path)) {
            on.write(path, bytes, *mode).map_err(failed(path))?;
        }
        self.gone.iter().try_for_each(|path| on.remove(path).map_err(failed(path)))
    }
}

fn before(files: &brc_linux::Files) -> Result<Vec<String>, MakeError> {
    match files.text(MADE, MAX_MADE) {
        Ok(text) => Ok(text.lines().filter(|path| path.starts_with(ETC)).map(str::to_owned).collect()),
        Err(error) if error.is_absence() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Settings do not make their files.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A file of the machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// A template.
    #[error("template `{template}` makes no `{to}` of the settings")]
    Template { template: String, to: String, source: TemplateError },
    /// A template is not for `/etc`.
    #[error("`{to}` is not below `/etc`, where alone settings make files")]
    Place { to: String },
    /// A file is not changed.
    #[error("`{path}` cannot be changed")]
    Change { path: String, source: std::io::Error },
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use brc_contract::settings::{IMAGE_SETTINGS_VERSION, OnUnknown, TemplateEntry};

    use super::*;

    /// Changes below a folder; the one with this number fails.
    struct Failing<'a> {
        root: &'a std::path::Path,
        left: usize,
    }

    impl Failing<'_> {
        fn next(&mut self) -> io::Result<()> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(())
        }
    }

    impl Files for Failing<'_> {
        fn write(&mut self, path: &str, bytes: &[u8], _mode: u32) -> io::Result<()> {
            self.next()?;
            let path = self.root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, bytes)
        }

        fn remove(&mut self, path: &str) -> io::Result<()> {
            self.next()?;
            fs::remove_file(self.root.join(path.trim_start_matches('/')))
        }
    }

    fn entry(to: &str, from: &str, unit: &str) -> TemplateEntry {
        TemplateEntry { to: to.to_owned(), from: from.to_owned(), mode: 0o644, restart: vec![unit.to_owned()] }
    }

    const MIRRORS: &str = "{% for mirror in settings.container_registry.mirrors %}\n\
        ==> {{ mirror.registry }}/hosts.toml <==\n{{ mirror.endpoint|join(' ') }}\n{% endfor %}\n";

    fn image(root: &std::path::Path) -> ImageSettings {
        for (path, text) in [
            ("usr/motd", "{% if settings.motd %}\n{{ settings.motd }}\n{% endif %}\n"),
            ("usr/ntp", "NTP={{ settings.ntp.time_servers|join(' ') }}\n"),
            ("usr/mirrors", MIRRORS),
        ] {
            fs::create_dir_all(root.join("usr")).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        ImageSettings {
            version: IMAGE_SETTINGS_VERSION,
            unknown: OnUnknown::Refuse,
            sources: Vec::new(),
            defaults: Value::none(),
            templates: vec![
                entry("/etc/motd", "/usr/motd", "a.service"),
                entry("/etc/ntp.conf", "/usr/ntp", "b.service"),
                entry("/etc/mirrors/", "/usr/mirrors", "c.service"),
            ],
        }
    }

    fn mirrors(registries: &[&str]) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let one = |registry: &&str| {
            Value::Table(BTreeMap::from([
                ("registry".to_owned(), text(registry)),
                ("endpoint".to_owned(), Value::List(vec![text("https://m.example")])),
            ]))
        };
        Value::List(registries.iter().map(one).collect()).nested(["container-registry", "mirrors"].into_iter())
    }

    fn motd(text: &str) -> Value {
        Value::Text(text.to_owned()).nested(["motd"].into_iter())
    }

    /// The files below `/etc`, with what they hold.
    fn etc(root: &std::path::Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.join("etc")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(format!(
                        "{}: {}",
                        path.strip_prefix(root).unwrap().display(),
                        fs::read_to_string(&path).unwrap().trim()
                    ));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn files_follow_the_settings_and_only_units_whose_files_change_start_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (root, files) = (folder.path(), brc_linux::Files::below(folder.path()));
        let image = image(root);
        let apply = |values: &Value| {
            let made = Made::of(&image, values, &files).unwrap();
            made.make(&mut Failing { root, left: 100 }).unwrap();
            made.restart
        };
        assert_eq!(apply(&Value::none()), ["b.service"]);
        assert_eq!(etc(root), ["etc/ntp.conf: NTP="]);
        assert_eq!(apply(&motd("hello").overlaid(mirrors(&["a.example", "b.example"]))), ["a.service", "c.service"]);
        let a = "etc/mirrors/a.example/hosts.toml: https://m.example";
        let b = "etc/mirrors/b.example/hosts.toml: https://m.example";
        assert_eq!(etc(root), [a, b, "etc/motd: hello", "etc/ntp.conf: NTP="]);
        assert_eq!(apply(&motd("hello").overlaid(mirrors(&["b.example"]))), ["c.service"]);
        assert_eq!(etc(root), [b, "etc/motd: hello", "etc/ntp.conf: NTP="]);
        assert_eq!(apply(&motd("hello").overlaid(mirrors(&["b.example"]))), [""; 0]);
        assert_eq!(apply(&Value::none()), ["a.service", "c.service"]);
        assert_eq!(etc(root), ["etc/ntp.conf: NTP="]);
    }

    #[test]
    fn a_change_that_fails_anywhere_is_finished_by_the_next_try() {
        let values = motd("hello").overlaid(mirrors(&["a.example"]));
        let mut calls = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let (root, files) = (folder.path(), brc_linux::Files::below(folder.path()));
            let image = image(root);
            let apply =
                |values: &Value, left| Made::of(&image, values, &files).unwrap().make(&mut Failing { root, left });
            apply(&motd("before").overlaid(mirrors(&["b.example"])), 100).unwrap();
            let failed = apply(&values, calls).is_err();
            apply(&values, 100).unwrap();
            let a = "etc/mirrors/a.example/hosts.toml: https://m.example";
            assert_eq!(etc(root), [a, "etc/motd: hello", "etc/ntp.conf: NTP="], "after call {calls} failed");
            if !failed {
                break;
            }
            calls += 1;
        }
        assert_eq!(calls, 4);
    }

    #[test]
    fn nothing_is_made_outside_of_etc() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = image(folder.path());
        image.templates[1].to = "/usr/ntp.conf".to_owned();
        let told = Made::of(&image, &Value::none(), &brc_linux::Files::below(folder.path())).unwrap_err();
        assert_eq!(told.to_string(), "`/usr/ntp.conf` is not below `/etc`, where alone settings make files");
    }
}
