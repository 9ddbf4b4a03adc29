//! A project on the disk: its folder, its recipes, and the files that they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use brc_contract::Architecture;

use super::{
    ComposeError, LocalSource, ProjectPlace, SetFolder,
    beneath::{Beneath, set_of},
    checkout,
    recipe_files::answer,
    tracked::is_tracked,
};
use crate::{
    graph::{Flat, flatten_with},
    recipe::{
        self, Archive, Code, Diagnostic, LOCAL_FILE, Name, PROJECT_FILE, Presence, Reading, Recipes, SourcePath,
        SourceSet, Suite,
    },
};

/// The word that means all architectures of a variant.
const ALL_ARCHITECTURES: &str = "all";
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
    /// The recipe sets from elsewhere that it was read with, by the names of their imports.
    pub(super) sets: BTreeMap<String, SetFolder>,
    /// The architecture of the machine that composes: this one, unless somebody wants to know what another would do.
    pub execution: Architecture,
    /// The file that was asked for; none when the project was.
    composed: Option<SourcePath>,
}

impl Project {
    /// Reads the project of `file`: the one that its folder belongs to, or that folder alone; without the sets that it
    /// imports from elsewhere.
    ///
    /// # Errors
    /// A file that cannot be read, or every mistake in the recipes.
    pub fn open(file: &Path) -> Result<Project, ComposeError> {
        Project::read(ProjectPlace::of(file)?, BTreeMap::new())
    }

    /// Reads the project that `folder` belongs to, all of it, without the sets that it imports from elsewhere.
    ///
    /// # Errors
    /// No project there, a file that cannot be read, or every mistake in the recipes.
    pub fn open_above(folder: &Path) -> Result<Project, ComposeError> {
        Project::read(ProjectPlace::above(folder)?, BTreeMap::new())
    }

    /// Reads a project with the sets that it imports from elsewhere.
    ///
    /// # Errors
    /// A file that cannot be read, or every mistake in the recipes.
    pub fn read(place: ProjectPlace, sets: BTreeMap<String, SetFolder>) -> Result<Project, ComposeError> {
        let ProjectPlace { root, project, composed } = place;
        let folders = sets.iter().map(|(name, set)| (name.clone(), set.path()));
        let mut sources = SourceSet::new(project, composed.clone()).with_sets(folders.collect());
        let mut reading = recipe::read(&sources);
        for _ in 0..MAX_ROUNDS {
            reading = match reading {
                Reading::Wanted(wanted, again) => {
                    answer(&root, &mut sources, &wanted)?;
                    again.read(&sources)
                }
                Reading::Read(recipes, warnings) => {
                    let local = root.join(LOCAL_FILE);
                    if local.exists() && is_tracked(&local) {
                        return Err(ComposeError::TrackedLocal { path: local });
                    }
                    let checkouts = checkout::stated(&root, &recipes);
                    let (recipes, execution) = (*recipes, Architecture::of_this_program());
                    return Ok(Project { root, sources, recipes, warnings, checkouts, sets, execution, composed });
                }
                Reading::Refused(diagnostics) => {
                    return Err(ComposeError::Recipes { sources: Box::new(sources), diagnostics });
                }
            }
        }
        Err(ComposeError::Endless { path: composed.map_or(root.join(PROJECT_FILE), |file| root.join(file.as_str())) })
    }

    /// Where a path that recipes state is on the disk, to be shown; [`Project::open_file`] opens it.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Opens a file that recipes name, beneath the folder of their set.
    ///
    /// # Errors
    /// Nothing there, something else than a file, or a link that leads out of the set.
    pub fn open_file(&self, path: &str) -> Result<fs::File, ComposeError> {
        self.beneath(path, |set, below| set.file(below))
    }

    /// What is in a file that recipes name, as [`Project::open_file`] opens it.
    ///
    /// # Errors
    /// As for that, and more bytes than `limit`.
    pub fn read_file(&self, path: &str, limit: u64) -> Result<Vec<u8>, ComposeError> {
        let mut bytes = Vec::new();
        let read = self.open_file(path)?.take(limit + 1).read_to_end(&mut bytes);
        let checked = read.and_then(|size| match size as u64 > limit {
            true => Err(io::Error::other(format!("expected at most {limit} bytes"))),
            false => Ok(bytes),
        });
        checked.map_err(|source| ComposeError::Read { path: self.on_disk(path), source })
    }

    /// Where a folder that recipes name is, when all links are followed: beneath the folder of their set.
    ///
    /// # Errors
    /// Nothing there, something else than a folder, or a link that leads out of the set.
    pub fn open_folder(&self, path: &str) -> Result<PathBuf, ComposeError> {
        self.beneath(path, |set, below| set.folder(below))
    }

    fn beneath<T>(&self, path: &str, open: impl Fn(Beneath, &str) -> io::Result<T>) -> Result<T, ComposeError> {
        let opened = || {
            let path = SourcePath::new(path);
            let roots = self.recipes.sets.iter().map(|set| &set.root);
            let (set, below) = set_of(roots, &path).ok_or(io::ErrorKind::NotFound)?;
            open(Beneath::new(&self.root.join(set.as_str()))?, below)
        };
        opened().map_err(|source| ComposeError::Read { path: self.on_disk(path), source })
    }

    /// The variant that is meant: the named one, or the only one that can be composed of the file that was asked for,
    /// or else of the project.
    ///
    /// # Errors
    /// No such variant, or several.
    pub fn variant(&self, named: Option<&str>) -> Result<Name, ComposeError> {
        let all = || self.recipes.variants.values().filter(|variant| variant.version.is_some());
        let own = self.own_set();
        let here = || {
            all().filter(|variant| match &self.composed {
                Some(file) => self.sources.path(variant.span.file) == file,
                None => variant.name.value.set == own,
            })
        };
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
            None => match self.composable(here().collect()).as_slice() {
                [one] => Ok(one.name.value.clone()),
                [] => Err(ComposeError::NoVariantInFile {
                    path: self.on_disk(self.composed.as_ref().map_or(PROJECT_FILE, SourcePath::as_str)),
                    known: names(all().collect()),
                }),
                several => Err(ComposeError::SeveralVariants { known: names(several.to_vec()) }),
            },
        }
    }

    /// Those of several variants that are not only there to be extended, as one without a kernel is.
    fn composable<'a>(&self, variants: Vec<&'a recipe::Variant>) -> Vec<&'a recipe::Variant> {
        let is_base = |variant: &&recipe::Variant| {
            let name = &variant.name.value;
            let found = self.flats(name, &self.stated_architectures(name));
            matches!(found, Err(ComposeError::Recipes { diagnostics, .. })
                if diagnostics.iter().any(|found| found.code == Code::NoKernel))
        };
        let is_one_of_several = variants.len() > 1;
        variants.into_iter().filter(|variant| !(is_one_of_several && is_base(variant))).collect()
    }

    /// The name of the project's own recipe set.
    pub(super) fn own_set(&self) -> String {
        self.recipes.sets.first().map(|set| set.name.clone()).unwrap_or_default()
    }

    /// The architectures that a variant is for: those that it or the nearest parent states.
    pub fn stated_architectures(&self, variant: &Name) -> Vec<Architecture> {
        let mut stated = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = vec![variant];
        while let (true, Some(name)) = (stated.is_empty(), next.pop()) {
            // Two parents may extend the same one, and its parents in turn: each is looked at once.
            if let Some(variant) = self.recipes.variants.get(name).filter(|_| seen.insert(name)) {
                stated.extend(variant.architectures.iter().map(|architecture| architecture.value));
                next.extend(variant.extends.iter().map(|parent| &parent.value));
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
        let own = self.execution;
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
        self.flats_with(variant, architectures, None)
    }

    /// The same, with one more component that is to be built, whether the variant has it or not.
    ///
    /// # Errors
    /// As [`Project::flats`].
    pub fn flats_with(
        &self,
        variant: &Name,
        architectures: &[Architecture],
        beside: Option<&Name>,
    ) -> Result<Vec<Flat>, ComposeError> {
        let mut flats = Vec::new();
        let mut diagnostics = Vec::new();
        for architecture in architectures {
            match flatten_with(&self.recipes, variant, *architecture, self.execution, beside) {
                Ok(flat) => {
                    diagnostics.extend(self.missing_locals(&flat));
                    let wrong = self.wrong_templates(&flat)?;
                    diagnostics.extend(wrong.into_iter().filter(|new| !diagnostics.contains(new)).collect::<Vec<_>>());
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
        found.code == Code::NoKernel && self.recipes.variants.values().any(extends)
    }

    /// What is not there of the files that recipes name with braces: a platform without its configuration.
    fn missing_locals(&self, flat: &Flat) -> Vec<Diagnostic> {
        let told = flat.filled_locals().into_iter().filter_map(|(path, span)| {
            // One that may not be looked at is told with the reason when it is read.
            match self.beneath(path.as_str(), |set, below| set.presence(below)).unwrap_or(Presence::Missing) {
                Presence::File | Presence::Folder => None,
                Presence::Outside => {
                    let message = format!("a link leads `{path}` out of the folder of the recipes");
                    let help = "a recipe set is self-contained: copy what the link points to in its place";
                    Some(Diagnostic::error(Code::OutsideProject, span, message).help(help))
                }
                Presence::Missing => {
                    let message = format!("there is no `{path}`, which `{}` is to have", flat.title());
                    let help = "bring it, or state for which `arch`, `platform` or version it is: `when … { }`";
                    Some(Diagnostic::error(Code::MissingFile, span, message).help(help))
                }
            }
        });
        told.collect()
    }

    /// The same images as machines of other architectures compose them.
    ///
    /// # Errors
    /// Every mistake that shows there: recipes may ask which machine composes.
    pub fn elsewhere(&self, flats: &[Flat]) -> Result<Vec<Flat>, ComposeError> {
        let others = || Architecture::ALL.into_iter().filter(|other| *other != self.execution);
        let again = flats.iter().flat_map(|flat| others().map(move |other| (flat, other)));
        let (mut elsewhere, mut diagnostics) = (Vec::new(), Vec::new());
        for (flat, other) in again {
            let beside = flat.beside.first().map(|component| &component.name);
            match flatten_with(&self.recipes, &flat.name.value, flat.situation.architecture, other, beside) {
                Ok(flat) => elsewhere.push(flat),
                Err(found) => {
                    diagnostics.extend(found.into_iter().filter(|new| !diagnostics.contains(new)).collect::<Vec<_>>())
                }
            }
        }
        if diagnostics.is_empty() { Ok(elsewhere) } else { Err(self.refused(diagnostics)) }
    }

    /// The variants of this project that have a version: those that can be composed, and bases that only say so.
    pub fn variants(&self) -> Vec<Name> {
        let own = self.own_set();
        let all = self.recipes.variants.values().filter(|variant| variant.version.is_some());
        all.map(|variant| variant.name.value.clone()).filter(|name| name.set == own).collect()
    }

    /// The mirrors that the archives of recipes are fetched from, those of imported sets too, and the sets that have
    /// mirrors themselves.
    pub fn mirror_names(&self) -> BTreeSet<String> {
        let suites =
            self.recipes.archives.values().flat_map(|archive| archive.suites.iter().map(move |suite| (archive, suite)));
        let name = |(archive, suite): (&Archive, &Suite)| match &suite.mirror {
            Some(mirror) => mirror.value.clone(),
            None => archive.name.value.name.clone(),
        };
        suites.map(name).chain(self.sets.keys().cloned()).collect()
    }

    /// How many components, package groups and kernels were read, those of imported sets too.
    pub fn components(&self) -> usize {
        self.recipes.components.len() + self.recipes.packages.len() + self.recipes.kernels.len()
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A project with these files in a folder beside one that is not its own, and its `brc.kdl`.
    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("host/file", "secret { }"), ("host/tree/file", "secret")].iter().chain(files) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let file = folder.path().join("project/brc.kdl");
        (folder, file)
    }

    /// What is said of a project that is refused.
    fn refused(file: &Path) -> Vec<String> {
        match Project::open(file) {
            Ok(_) => Vec::new(),
            Err(ComposeError::Recipes { sources, diagnostics }) => {
                diagnostics.iter().map(|found| recipe::one_line(&sources, found)).collect()
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_link_out_of_the_recipes_is_refused_wherever_it_is_named() {
        let (outside, inside) = (("../host/file", "../host/tree"), ("inside/file", "inside/tree"));
        for (recipe, is_folder) in [
            ("component \"c\" { file \"/etc/x\" from=\"LINK\"; }", false),
            ("component \"c\" { file \"/etc/x\" from=\"LINK/file\"; }", true),
            ("component \"c\" { tree \"LINK\" to=\"/etc/x\"; }", true),
            ("component \"c\" { unit \"./LINK\"; }", false),
            ("component \"c\" { version \"1\"; step \"x\"; upstream { folder \"LINK\"; }; }", true),
            ("component \"c\" { version \"1\"; step \"x\"; patch \"LINK\"; }", false),
            ("kernel \"k\" { version \"1\"; debian \"x\" suite=\"s\"; config \"LINK\"; }", false),
            (
                "kernel \"k\" { version \"1\"; debian \"x\" suite=\"s\"; config \"inside/file\"; module-certificate \"LINK\"; }",
                false,
            ),
            ("archive \"a\" { suite \"s\"; keyring \"LINK\"; }", false),
            ("read \"LINK.kdl\"", false),
            ("read \"*.kdl\"", false),
            ("read \"LINK/*.kdl\"", true),
            ("recipes \"other\" { path \"other\"; }", false),
        ] {
            for ((file, folder), is_refused) in [(outside, true), (inside, false)] {
                let text = format!("project \"p\"\n{recipe}\n");
                let (top, path) = project(&[
                    ("project/brc.kdl", &text),
                    ("project/inside/file", ""),
                    ("project/inside/tree/file", ""),
                    ("project/inside/tree/a.kdl", ""),
                    ("project/other/x", ""),
                ]);
                let root = path.parent().unwrap();
                let target = if is_folder { folder } else { file };
                for link in ["LINK", "LINK.kdl"] {
                    symlink(target, root.join(link)).unwrap();
                }
                symlink(format!("../{target}"), root.join("other/brc.kdl")).unwrap();
                fs::write(top.path().join("host/tree/a.kdl"), "").unwrap();
                let told = refused(&path);
                let named = told.iter().filter(|line| line.contains("out of the folder of the recipes"));
                // What a set of its own links to has to lie in that set.
                assert_eq!(named.count() == 1, is_refused || recipe.starts_with("recipes"), "{recipe}: {told:?}");
                assert!(!told.iter().any(|line| line.contains("secret")), "{told:?}");
            }
        }
    }

    #[test]
    fn what_becomes_a_link_after_it_was_checked_is_not_opened() {
        let text = "project \"p\"\ncomponent \"c\" { file \"/etc/x\" from=\"x\"; }\n";
        let (_top, path) = project(&[("project/brc.kdl", text), ("project/x", "x"), ("project/tree/x", "x")]);
        let project = Project::open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(project.read_file("x", 1).unwrap(), b"x");
        assert!(project.read_file("x", 0).unwrap_err().to_string().contains("cannot be read"));
        assert!(project.open_folder("tree").unwrap().ends_with("project/tree"));
        let root = path.parent().unwrap();
        fs::remove_file(root.join("x")).unwrap();
        fs::remove_dir_all(root.join("tree")).unwrap();
        symlink("../host/file", root.join("x")).unwrap();
        symlink("../host/tree", root.join("tree")).unwrap();
        assert!(project.open_file("x").is_err() && project.open_folder("tree").is_err());
        assert!(project.open_file("tree/file").is_err() && project.open_file("../host/file").is_err());
    }

    #[test]
    fn a_recipe_that_is_no_file_is_never_waited_for() {
        let (top, path) = project(&[("project/x", "")]);
        let pipe = |path: &Path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        };
        pipe(&path);
        let told = |file: &Path| match Project::open(file) {
            Err(ComposeError::Read { source, .. }) => source.to_string(),
            other => panic!("{:?}", other.err()),
        };
        assert_eq!(told(&path), "expected a file, found a FIFO");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "project \"p\"").unwrap();
        pipe(&path.with_file_name("brc.local.kdl"));
        assert_eq!(told(&path), "expected a file, found a FIFO");
        fs::remove_file(path.with_file_name("brc.local.kdl")).unwrap();
        pipe(&path.with_file_name("brc.lock"));
        let project = Project::open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(project.lock(), Err(ComposeError::Read { .. })));
        drop(top);
    }

    #[test]
    fn variants_that_share_their_parents_are_walked_once() {
        let mut text = "project \"p\"\n".to_owned();
        for at in 0..200 {
            let parents = [at + 1, at + 2].into_iter().filter(|parent| *parent < 200);
            let parents: Vec<String> = parents.map(|parent| format!("extends \"v{parent}\"")).collect();
            text.push_str(&format!("variant \"v{at}\" {{\n version \"1\"\n {}\n}}\n", parents.join("\n ")));
        }
        let (_top, path) = project(&[("project/brc.kdl", &text)]);
        let project = Project::open(&path).unwrap_or_else(|error| panic!("{error}"));
        // As many ways as the 200th number of Fibonacci.
        let found = project.stated_architectures(&project.variant(Some("v0")).unwrap());
        assert_eq!(found, [Architecture::X86_64]);
    }

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
