//! Units of systemd that start by themselves or never, as links say it (systemd.unit(5)).

use super::super::change::Facts;
use crate::artifact::{ManifestFile, ManifestKind};

/// Where units and the links between them lie.
const FOLDERS: [&str; 2] = ["/etc/systemd/system/", "/usr/lib/systemd/system/"];
/// Folders of links by what their names end in, and what such a link says.
const LINKS: [(&str, &str); 3] = [(".wants", "wanted by"), (".requires", "required by"), (".upholds", "upheld by")];

/// What is said of each unit that something is said of.
pub fn units(files: &[ManifestFile]) -> Facts {
    let mut facts = Facts::new();
    for file in files {
        let ManifestKind::Symlink { target } = &file.kind else { continue };
        let Some(below) = FOLDERS.into_iter().find_map(|folder| file.path.strip_prefix(folder)) else { continue };
        let Some((unit, said)) = said(below, target) else { continue };
        let all = facts.entry(unit.to_owned()).or_default();
        if !all.split(", ").any(|known| known == said) {
            *all = if all.is_empty() { said } else { format!("{all}, {said}") };
        }
    }
    facts
}

fn said<'a>(below: &'a str, target: &str) -> Option<(&'a str, String)> {
    match below.split_once('/') {
        None if target == "/dev/null" => Some((below, "masked".to_owned())),
        None => Some((below, format!("alias of {}", target.rsplit('/').next().unwrap_or(target)))),
        Some((folder, unit)) => {
            let (by, says) = LINKS.into_iter().find_map(|(end, says)| Some((folder.strip_suffix(end)?, says)))?;
            Some((unit, format!("{says} {by}")))
        }
    }
}
