//! A project on the disk: its folder, its recipes, and the files that they name.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use brc_contract::Architecture;

use super::{ComposeError, LocalSource, checkout};
use crate::{
    content::{Glob, RelPath},
    graph::{Flat, flatten},
    recipe::{self, Diagnostic, FileGlob, Name, Presence, Reading, Recipes, SourcePath, SourceSet, Wanted},
};

/// The file that makes a folder a project.
const PROJECT_FILE: &str = "brc.kdl";
/// The word that means all architectures of a variant.
const ALL_ARCHITECTURES: &str = "all";
/// The most bytes that are read of a recipe; one more than recipes may have, so that too long ones are noticed.
const MAX_RECIPE_BYTES: u64 = (1 << 20) + 1;
/// The most files that are looked at for one pattern.
const MAX_WALKED: usize = 100_000;
/// More rounds than any chain of imports takes.
const MAX_ROUNDS: usize = 64;

/// A project whose recipes were read and found right.
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// The texts that were read.
    pub sources: SourceSet,
    /// What they say.
    pub recipes: Recipes,
    /// What is probably not meant so.
    pub warnings: Vec<Diagnostic>,
    /// The folders that take the place of components' sources.
    pub checkouts: BTreeMap<Name, LocalSource>,
    composed: SourcePath,
}

impl Project {
    /// The project that `folder` belongs to: the nearest folder with a `brc.kdl`, itself or above it.
    pub fn root_above(folder: &Path) -> Option<&Path> {
        folder.ancestors().find(|above| above.join(PROJECT_FILE).is_file())
    }

    /// Reads the project of `file`: the one that its folder belongs to, or that folder alone.
    ///
    /// # Errors
    /// A file that cannot be read, or every mistake in the recipes.
    pub fn open(file: &Path) -> Result<Project, ComposeError> {
        let unreadable = |source| ComposeError::Read { path: file.to_owned(), source };
        let file = file.canonicalize().map_err(unreadable)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        let project = Project::root_above(folder);
        let root = project.unwrap_or(folder).to_owned();
        let below = file.strip_prefix(&root).unwrap_or(&file);
        let composed = SourcePath::new(&below.to_string_lossy());
        let project = project.map(|_| SourcePath::new(PROJECT_FILE));
        let mut sources = SourceSet::new(project, Some(composed.clone()));
        for _ in 0..MAX_ROUNDS {
            match recipe::read(&sources) {
                Reading::Wanted(wanted) => answer(&root, &mut sources, &wanted)?,
                Reading::Read(recipes, warnings) => {
                    let checkouts = checkout::stated(&root, &recipes);
                    return Ok(Project { root, sources, recipes: *recipes, warnings, checkouts, composed });
                }
                Reading::Refused(diagnostics) => {
                    return Err(ComposeError::Recipes { sources: Box::new(sources), diagnostics });
                }
            }
        }
        Err(ComposeError::Endless { path: file })
    }

    /// Where a path that recipes state is on the disk.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The variant that is meant: the named one, or the only one with a version in the composed file.
    ///
    /// # Errors
    /// No such variant, or several.
    pub fn variant(&self, named: Option<&str>) -> Result<Name, ComposeError> {
        let all = || self.recipes.variants.values().filter(|variant| variant.version.is_some());
        let here = || all().filter(|variant| *self.sources.path(variant.span.file) == self.composed);
        let names = |variants: Vec<&recipe::Variant>| -> Vec<String> {
            variants.iter().map(|variant| variant.name.value.to_string()).collect()
        };
        match named {
            Some(named) => {
                let fits = |name: &Name| name.name == named || name.to_string() == named;
                let found = here().find(|v| fits(&v.name.value)).or_else(|| all().find(|v| fits(&v.name.value)));
                found
                    .map(|variant| variant.name.value.clone())
                    .ok_or_else(|| ComposeError::NoVariant { wanted: named.to_owned(), known: names(all().collect()) })
            }
            None => match here().collect::<Vec<_>>().as_slice() {
                [one] => Ok(one.name.value.clone()),
                [] => Err(ComposeError::NoVariantInFile {
                    path: self.on_disk(self.composed.as_str()),
                    known: names(all().collect()),
                }),
                several => Err(ComposeError::SeveralVariants { known: names(several.to_vec()) }),
            },
        }
    }

    /// The architectures that a variant is for: those that it or the nearest parent states.
    pub fn stated_architectures(&self, variant: &Name) -> Vec<Architecture> {
        let mut stated = Vec::new();
        let mut next = vec![variant.clone()];
        while let (true, Some(name)) = (stated.is_empty(), next.pop()) {
            if let Some(variant) = self.recipes.variants.get(&name) {
                stated.extend(variant.architectures.iter().map(|architecture| architecture.value));
                next.extend(variant.extends.iter().map(|parent| parent.value.clone()));
            }
        }
        if stated.is_empty() { vec![Architecture::X86_64] } else { stated }
    }

    /// The architectures that are meant: the named ones, each once; `all` for all of the variant's. Nothing named
    /// means this machine's where the variant has it, else all of the variant's.
    ///
    /// # Errors
    /// A name that is none, or that the variant is not for.
    pub fn architectures(&self, variant: &Name, named: &[String]) -> Result<Vec<Architecture>, ComposeError> {
        let stated = self.stated_architectures(variant);
        let own = Architecture::of_this_program();
        match named {
            [] if stated.contains(&own) => return Ok(vec![own]),
            [] => return Ok(stated),
            [all] if all == ALL_ARCHITECTURES => return Ok(stated),
            _ => {}
        }
        let mut picked = Vec::new();
        for name in named {
            let found = Architecture::from_name(name).filter(|found| stated.contains(found));
            let architecture = found.ok_or_else(|| ComposeError::NoArchitecture {
                wanted: name.clone(),
                variant: variant.to_string(),
                known: stated.iter().map(|architecture| architecture.name().to_owned()).collect(),
            })?;
            if !picked.contains(&architecture) {
                picked.push(architecture);
            }
        }
        Ok(picked)
    }

    /// The variant for each architecture, with nothing conditional left.
    ///
    /// # Errors
    /// Every mistake that shows when parents are merged.
    pub fn flats(&self, variant: &Name, architectures: &[Architecture]) -> Result<Vec<Flat>, ComposeError> {
        let mut flats = Vec::new();
        let mut diagnostics = Vec::new();
        for architecture in architectures {
            match flatten(&self.recipes, variant, *architecture, Architecture::of_this_program()) {
                Ok(flat) => {
                    diagnostics.extend(self.missing_locals(&flat));
                    flats.push(flat);
                }
                Err(found) => {
                    diagnostics.extend(found.into_iter().filter(|new| !diagnostics.contains(new)).collect::<Vec<_>>())
                }
            }
        }
        if diagnostics.is_empty() { Ok(flats) } else { Err(self.refused(diagnostics)) }
    }

    /// Whether a variant may have this mistake until it is composed itself: a base that others extend has no kernel.
    pub fn is_due_later(&self, variant: &Name, found: &Diagnostic) -> bool {
        let extends = |other: &recipe::Variant| other.extends.iter().any(|parent| parent.value == *variant);
        found.code == "no-kernel" && self.recipes.variants.values().any(extends)
    }

    /// What is not there of the files that recipes name with braces: a platform without its configuration.
    fn missing_locals(&self, flat: &Flat) -> Vec<Diagnostic> {
        let named = flat.filled_locals().into_iter();
        let missing = named.filter(|(path, _)| !self.on_disk(path.as_str()).exists());
        let told = missing.map(|(path, span)| {
            let message = format!("there is no `{path}`, which `{}` is to have", flat.title());
            let help = "bring it, or state for which `arch`, `platform` or version it is: `when … { }`";
            Diagnostic::error("missing-file", span, message).help(help)
        });
        told.collect()
    }

    /// The variants of this project that have a version: those that can be composed, and bases that only say so.
    pub fn variants(&self) -> Vec<Name> {
        let own = self.recipes.sets.first().map(|set| set.name.clone()).unwrap_or_default();
        let all = self.recipes.variants.values().filter(|variant| variant.version.is_some());
        all.map(|variant| variant.name.value.clone()).filter(|name| name.set == own).collect()
    }

    /// All that the project's lock serves: each variant that can be composed, for each of its architectures.
    ///
    /// # Errors
    /// Every mistake that shows when parents are merged.
    pub fn all_flats(&self) -> Result<Vec<Flat>, ComposeError> {
        let mut flats = Vec::new();
        let mut diagnostics = Vec::new();
        for variant in self.variants() {
            match self.flats(&variant, &self.stated_architectures(&variant)) {
                Ok(found) => flats.extend(found),
                Err(ComposeError::Recipes { diagnostics: found, .. }) => {
                    diagnostics.extend(found.into_iter().filter(|found| !self.is_due_later(&variant, found)));
                }
                Err(error) => return Err(error),
            }
        }
        if diagnostics.is_empty() { Ok(flats) } else { Err(self.refused(diagnostics)) }
    }

    /// The error that shows diagnostics of this project.
    pub fn refused(&self, diagnostics: Vec<Diagnostic>) -> ComposeError {
        ComposeError::Recipes { sources: Box::new(self.sources.clone()), diagnostics }
    }
}

fn answer(root: &Path, sources: &mut SourceSet, wanted: &Wanted) -> Result<(), ComposeError> {
    for path in &wanted.files {
        match read_limited(&root.join(path.as_str())) {
            Ok(bytes) => sources.add_file(path.clone(), bytes),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                sources.add_missing(path.clone());
            }
            Err(source) => return Err(ComposeError::Read { path: root.join(path.as_str()), source }),
        }
    }
    for glob in &wanted.globs {
        sources.add_matches(glob.clone(), matches(root, glob));
    }
    for path in &wanted.presence {
        let presence = match fs::metadata(root.join(path.as_str())) {
            Ok(metadata) if metadata.is_file() => Presence::File,
            Ok(metadata) if metadata.is_dir() => Presence::Folder,
            _ => Presence::Missing,
        };
        sources.add_presence(path.clone(), presence);
    }
    Ok(())
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_RECIPE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that fit a pattern. Hidden names are passed over unless the pattern writes them out.
fn matches(root: &Path, wanted: &FileGlob) -> Vec<SourcePath> {
    let Ok(glob) = Glob::new(&format!("/{}", wanted.pattern)) else { return Vec::new() };
    // The folders before the first wildcard are walked straight to.
    let literal: Vec<&str> = wanted.pattern.split('/').take_while(|name| !name.contains(['*', '?'])).collect();
    let start = if glob.is_literal() { String::new() } else { literal.join("/") };
    let folder = root.join(wanted.folder.as_str());
    let mut found = Vec::new();
    let mut walked = 0;
    let mut next = vec![start];
    while let Some(below) = next.pop() {
        if glob.is_literal() {
            if folder.join(&wanted.pattern).is_file() {
                found.push(wanted.folder.join(&wanted.pattern));
            }
            break;
        }
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries.flatten() {
            walked += 1;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if walked > MAX_WALKED || (name.starts_with('.') && !wanted.pattern.contains("/.")) {
                continue;
            }
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => next.push(path),
                Ok(kind) if kind.is_file() && RelPath::new(&path).is_ok_and(|path| glob.matches(&path)) => {
                    found.push(wanted.folder.join(&path));
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_composes_for_this_machine_unless_something_else_is_said() {
        let own = Architecture::of_this_program();
        let other = Architecture::ALL.into_iter().find(|other| *other != own).unwrap();
        let (own_name, other_name) = (own.name(), other.name());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("brc.kdl");
        let variants = format!(
            "project \"p\"\nvariant \"both\" {{ version \"1\"; arch \"{other_name}\" \"{own_name}\"; }}\n\
             variant \"heir\" {{ version \"1\"; extends \"both\"; }}\n\
             variant \"foreign\" {{ version \"1\"; arch \"{other_name}\"; }}\n"
        );
        fs::write(&file, variants).unwrap();
        let project = Project::open(&file).unwrap_or_else(|error| panic!("{error:?}"));
        for (variant, named, expected) in [
            ("both", vec![], Some(vec![own])),
            ("heir", vec![], Some(vec![own])),
            ("foreign", vec![], Some(vec![other])),
            ("both", vec!["all"], Some(vec![other, own])),
            ("foreign", vec!["all"], Some(vec![other])),
            ("both", vec![other_name], Some(vec![other])),
            ("both", vec![own_name, other_name, own_name], Some(vec![own, other])),
            ("foreign", vec![own_name], None),
            ("both", vec!["riscv64"], None),
        ] {
            let words: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            let found = project.architectures(&Name::new("p", variant), &words).ok();
            assert_eq!(found, expected, "{variant} {named:?}");
        }
    }
}
