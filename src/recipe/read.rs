//! The one entry: sources become recipes, or every mistake of all of them.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{
    Archive, Checkout, Code, Component, Diagnostic, Feature, FileGlob, FileId, Kernel, LocalPath, Name, NextFiles,
    Origin, Override, Packages, Presence, Recipes, Set, SourcePath, SourceSet, Span, Spanned, Target, Variant, check,
    decode::{Cursor, Reader},
    import::{Import, ImportPlace, ImportedSet},
    names::{Kind, Names},
    parse::{Node, Parsed, parse},
    project::{LOCAL_FILE, PROJECT_FILE, ProjectFile},
    source::Defect,
    suggestion::Patience,
    word::{ProjectWord, TopWord, Word as _},
};

/// Files of one project at most.
const MAX_FILES: usize = 20_000;

/// What reading came to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// More must be looked up; then reading goes on with [`Again::read`].
    Wanted(NextFiles, Again),
    /// Everything is right; the diagnostics are warnings.
    Read(Box<Recipes>, Vec<Diagnostic>),
    /// There are mistakes: all of them, warnings too, in the order of files and places.
    Refused(Vec<Diagnostic>),
}

/// From where on is read again when what was wanted is there.
#[derive(Debug, Clone)]
pub struct Again(Point);

#[derive(Debug, Clone)]
enum Point {
    /// Texts were missing.
    Start,
    /// All texts were read; of the files that they name it was not known whether they are there.
    Decoded(Box<Undecided>),
}

/// What all texts say, before the files that they name are looked at.
#[derive(Debug, Clone)]
struct Undecided {
    recipes: Recipes,
    problems: Vec<Diagnostic>,
    locals: Vec<(LocalPath, Presence)>,
    anywhere: Vec<LocalPath>,
}

impl Again {
    /// Reads on.
    pub fn read(self, sources: &SourceSet) -> Reading {
        match self.0 {
            Point::Start => read(sources),
            Point::Decoded(undecided) => undecided.decide(sources),
        }
    }
}

impl Undecided {
    fn decide(mut self, sources: &SourceSet) -> Reading {
        let mut wanted = NextFiles::default();
        for (local, presence) in &self.locals {
            self.problems.extend(check_presence(sources, local, *presence, &mut wanted.presence));
        }
        for folder in &self.anywhere {
            self.problems.extend(check_presence(sources, folder, Presence::Folder, &mut wanted.anywhere));
        }
        if !wanted.is_empty() {
            wanted.roots = roots(&self.recipes.sets);
            return Reading::Wanted(wanted, Again(Point::Decoded(Box::new(self))));
        }
        check::check(&self.recipes, &mut self.problems);
        finish(sources, self.recipes, self.problems)
    }
}

fn roots(sets: &[Set]) -> BTreeSet<SourcePath> {
    sets.iter().map(|set| set.root.clone()).collect()
}

/// One file with the set that it belongs to.
struct Member {
    /// The place of its set in [`Survey::sets`], which only ever grow: indexing there cannot fail.
    set: usize,
    file: FileId,
    origin: Origin,
}

/// What is read of one set's `brc.kdl`, and which files belong to it.
struct Survey<'s> {
    sources: &'s SourceSet,
    wanted: NextFiles,
    problems: Vec<Diagnostic>,
    sets: Vec<Set>,
    members: Vec<Member>,
    seen: BTreeMap<FileId, usize>,
}

/// Reads everything from the project's `brc.kdl` and the composed file on.
///
/// Called again and again with more in `sources` until it wants nothing more. Limits: 1 MiB and 100,000 nodes a
/// file, 20,000 files, blocks 16 deep.
pub fn read(sources: &SourceSet) -> Reading {
    let mut survey = Survey {
        sources,
        wanted: NextFiles::default(),
        problems: Vec::new(),
        sets: Vec::new(),
        members: Vec::new(),
        seen: BTreeMap::new(),
    };
    survey.own_set();
    if !survey.wanted.is_empty() {
        return Reading::Wanted(NextFiles { roots: roots(&survey.sets), ..survey.wanted }, Again(Point::Start));
    }
    let Survey { mut problems, sets, members, .. } = survey;
    // Of names nobody can say whether they are in a set that is not known.
    if problems.iter().any(|problem| problem.code == Code::SetNotLocked) {
        return finish(sources, Recipes::default(), problems);
    }
    let parsed: Vec<Parsed<'_>> = members
        .par_iter()
        .map(|member| match sources.defect(member.file) {
            Some(defect) => Parsed { problems: vec![describe(defect, member.file)], ..Parsed::default() },
            None => parse(member.file, sources.text(member.file)),
        })
        .collect();
    let names = collect_names(&sets, &members, &parsed, &mut problems);
    let mut recipes = Recipes { sets: sets.clone(), ..Recipes::default() };
    let (mut locals, mut anywhere) = (Vec::new(), Vec::new());
    let decoded: Vec<(Decoded, Reader<'_>)> = members
        .par_iter()
        .zip(&parsed)
        .flat_map(|(member, parsed)| {
            let folder = sources.path(member.file).folder();
            let (names, set) = (&names, &sets[member.set]);
            // Pieces of one file are read side by side, and come back in order.
            parsed.nodes.par_chunks(256).map(move |nodes| {
                let mut reader = Reader {
                    names,
                    set: &set.name,
                    folder: folder.clone(),
                    root: &set.root,
                    origin: member.origin,
                    is_project_file: sources.path(member.file).name() == PROJECT_FILE,
                    problems: Vec::new(),
                    patience: Patience::new(),
                    locals: Vec::new(),
                    anywhere: Vec::new(),
                };
                (Decoded::read(&mut reader, nodes), reader)
            })
        })
        .collect();
    for (decoded, reader) in decoded {
        decoded.add_to(&mut recipes);
        problems.extend(reader.problems);
        locals.extend(reader.locals);
        anywhere.extend(reader.anywhere);
    }
    problems.extend(parsed.into_iter().flat_map(|parsed| parsed.problems));
    // An override of a developer's own applies after all others.
    recipes.overrides.sort_by_key(|change| change.origin == Origin::Local);
    Undecided { recipes, problems, locals, anywhere }.decide(sources)
}

fn finish(sources: &SourceSet, recipes: Recipes, mut problems: Vec<Diagnostic>) -> Reading {
    let place = |problem: &Diagnostic| problem.span().map(|span| (sources.path(span.file), span.start, span.end));
    let order = |problem: &Diagnostic| (place(problem), problem.severity, problem.code.text());
    problems.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.message.cmp(&b.message)));
    problems.dedup();
    if problems.iter().any(Diagnostic::is_error) {
        Reading::Refused(problems)
    } else {
        Reading::Read(Box::new(recipes), problems)
    }
}

/// What is said of a path that lies in the folder of its set as text alone.
fn leads_out(path: &impl std::fmt::Display, span: Span) -> Diagnostic {
    let message = format!("a link leads `{path}` out of the folder of the recipes");
    let help = "a recipe set is self-contained: copy what the link points to in its place";
    Diagnostic::error(Code::OutsideProject, span, message).help(help)
}

pub(super) fn describe(defect: Defect, file: FileId) -> Diagnostic {
    match defect {
        Defect::TooLarge => {
            let message = "the file is larger than 1 MiB";
            Diagnostic::error(Code::TooLarge, Span::start_of(file), message).help("recipes are small: split it")
        }
        Defect::NotUtf8 { at } => {
            Diagnostic::error(Code::NotUtf8, Span::new(file, at, at), "from here on the file is not UTF-8")
        }
    }
}

impl Survey<'_> {
    /// The project's own set, then the ones it imports.
    fn own_set(&mut self) {
        let sources = self.sources;
        let composed = sources.composed().cloned();
        let Some(project) = sources.project().cloned() else {
            // Without a project, the one file is a project of its own.
            if let Some(composed) = composed {
                self.sets.push(Set { name: String::new(), root: composed.folder(), span: None });
                if let Some(file) = self.text(&composed, None) {
                    self.add(0, file, Origin::Recipe, Span::start_of(file));
                }
            }
            return;
        };
        let root = project.folder();
        let Some(file) = self.text(&project, None) else {
            self.sets.push(Set { name: String::new(), root, span: None });
            return;
        };
        let content = self.project_file(file, &root);
        let name = content.name.as_ref().map_or_else(String::new, |name| name.value.clone());
        let span = content.name.as_ref().map(|name| name.span);
        if content.name.is_none() {
            let message = "`brc.kdl` does not say what the project is called";
            let problem = Diagnostic::error(Code::MissingNode, Span::start_of(file), message);
            self.problems.push(problem.help("write `project \"…\"`"));
        }
        self.sets.push(Set { name: name.clone(), root: root.clone(), span });
        self.members_of(0, file, &content);
        if let Some(composed) = composed
            && let Some(composed) = self.text(&composed, None)
        {
            self.add(0, composed, Origin::Recipe, Span::start_of(composed));
        }
        let local = root.join(LOCAL_FILE);
        match sources.file(&local) {
            Some(Some(file)) => self.add(0, file, Origin::Local, Span::start_of(file)),
            Some(None) if sources.is_outside(&local) => self.problems.push(leads_out(&local, Span::start_of(file))),
            Some(None) => {}
            None => _ = self.wanted.files.insert(local),
        }
        let mut imported: BTreeSet<String> = BTreeSet::new();
        for import in &content.imports {
            if import.name.value == name || !imported.insert(import.name.value.clone()) {
                let message = format!("there is already a recipe set `{}`", import.name.value);
                self.problems.push(Diagnostic::error(Code::DuplicateName, import.name.span, message));
                continue;
            }
            self.import(import);
        }
    }

    fn import(&mut self, import: &Import) {
        let set = self.sets.len();
        let span = Some(import.name.span);
        let name = &import.name.value;
        let root = match &import.place {
            ImportPlace::Folder(folder) => folder,
            ImportPlace::Git(_) | ImportPlace::Oci(_) => match self.sources.set(name) {
                Some(folder) => folder,
                None => {
                    let message = format!("the recipe set `{name}` is not locked, so its recipes are not known");
                    let problem = Diagnostic::error(Code::SetNotLocked, import.name.span, message);
                    self.problems.push(problem.help("`brc lock` fetches it, and pins it in `brc.lock`"));
                    return;
                }
            },
        };
        self.sets.push(Set { name: name.clone(), root: root.clone(), span });
        let Some(file) = self.text(&root.join(PROJECT_FILE), Some(import.name.span)) else { return };
        let content = self.project_file(file, root);
        if let Some(own) = content.name.as_ref().filter(|own| own.value != import.name.value) {
            let message = format!("these recipes call themselves `{}`, not `{}`", own.value, import.name.value);
            let problem = Diagnostic::error(Code::SetName, import.name.span, message).also(own.span, "here");
            self.problems.push(problem.help(format!("write `recipes \"{}\" {{ … }}`", own.value)));
        }
        if let Some(inner) = content.imports.first() {
            let message = format!("the recipe set `{}` imports another one", import.name.value);
            let problem = Diagnostic::error(Code::SetImports, inner.name.span, message);
            self.problems.push(problem.help("a recipe set is self-contained: import both in the project's `brc.kdl`"));
        }
        self.members_of(set, file, &content);
    }

    /// Looks a text up; says so when it is not there.
    fn text(&mut self, path: &SourcePath, asked: Option<Span>) -> Option<FileId> {
        match self.sources.file(path) {
            Some(Some(file)) => return Some(file),
            Some(None) => {
                let start = Span::start_of(FileId(0));
                let mut problem = match self.sources.is_outside(path) {
                    true => leads_out(path, start),
                    false => Diagnostic::error(Code::MissingFile, start, format!("there is no file `{path}`")),
                };
                problem.labels.clear();
                problem.labels.extend(asked.map(|span| super::Label { span, text: String::new() }));
                self.problems.push(problem);
            }
            None => _ = self.wanted.files.insert(path.clone()),
        }
        None
    }

    /// Reads what only a `brc.kdl` says. Its other nodes are read later, with those of all files.
    fn project_file(&mut self, file: FileId, root: &SourcePath) -> ProjectFile {
        if self.sources.defect(file).is_some() {
            return ProjectFile::default();
        }
        let (content, problems) = read_project_file(file, self.sources.text(file), root);
        self.problems.extend(problems);
        content
    }

    /// Notes the files of a set: its `brc.kdl`, and what its patterns find.
    fn members_of(&mut self, set: usize, file: FileId, content: &ProjectFile) {
        self.add(set, file, Origin::Recipe, Span::start_of(file));
        for glob in &content.read {
            let Some(paths) = self.sources.matches(glob) else {
                self.wanted.globs.insert(FileGlob::clone(glob));
                continue;
            };
            if paths.is_empty() {
                let message = format!("`{}` finds no file", glob.pattern);
                self.problems.push(Diagnostic::error(Code::GlobWithoutMatch, glob.span, message));
            }
            for path in paths {
                // A recipe set's own local overrides are for those who work on that set.
                if path.name() == LOCAL_FILE {
                    continue;
                }
                if let Some(file) = self.text(path, Some(glob.span)) {
                    self.add(set, file, Origin::Recipe, glob.span);
                }
            }
        }
    }

    fn add(&mut self, set: usize, file: FileId, origin: Origin, span: Span) {
        match self.seen.get(&file) {
            Some(owner) if *owner != set => {
                let path = self.sources.path(file);
                let (one, other) = (&self.sets[*owner].name, &self.sets[set].name);
                let message = format!("`{path}` belongs to the recipe sets `{one}` and `{other}`");
                self.problems.push(Diagnostic::error(Code::FileInTwoSets, span, message));
            }
            Some(_) => {}
            None if self.members.len() == MAX_FILES => {
                let message = format!("a project has at most {MAX_FILES} files");
                self.problems.push(Diagnostic::error(Code::TooLarge, span, message));
            }
            None => {
                self.seen.insert(file, set);
                self.members.push(Member { set, file, origin });
            }
        }
    }
}

fn read_project_file(file: FileId, text: &str, root: &SourcePath) -> (ProjectFile, Vec<Diagnostic>) {
    let parsed = parse(file, text);
    let names = Names::default();
    let mut reader = Reader {
        names: &names,
        set: "",
        folder: root.clone(),
        root,
        origin: Origin::Recipe,
        is_project_file: true,
        problems: Vec::new(),
        patience: Patience::new(),
        locals: Vec::new(),
        anywhere: Vec::new(),
    };
    let content = ProjectFile::read(&mut reader, &parsed.nodes);
    (content, reader.problems)
}

/// The sets that the text of a project's `brc.kdl` imports from elsewhere, which have to be there before it is read with
/// all that it names. What is wrong with it is told then.
pub fn imported_sets(text: &str) -> Vec<ImportedSet> {
    let (content, _) = read_project_file(FileId(0), text, &SourcePath::default());
    let elsewhere = content.imports.into_iter().filter_map(|import| match import.place {
        ImportPlace::Folder(_) => None,
        ImportPlace::Git(source) | ImportPlace::Oci(source) => Some(ImportedSet { name: import.name.value, source }),
    });
    elsewhere.collect()
}

/// Notes every name that some file defines, and those defined twice.
fn collect_names(sets: &[Set], members: &[Member], parsed: &[Parsed<'_>], problems: &mut Vec<Diagnostic>) -> Names {
    let mut names = Names::default();
    for set in sets {
        names.add_set(&set.name);
    }
    for (member, parsed) in members.iter().zip(parsed) {
        names.unread.extend(parsed.unread.iter().map(|name| (*name).to_owned()));
        for node in &parsed.nodes {
            let declared = node.children.iter().flatten().filter(|_| node.name == "variant").chain([node]);
            for (name, span) in declared.filter_map(Feature::declared) {
                if let Some(earlier) = names.features.insert(name.to_owned(), span) {
                    let message = format!("feature `{name}` is declared twice");
                    let problem = Diagnostic::error(Code::DuplicateName, span, message);
                    problems.push(problem.also(earlier, "first here"));
                }
            }
            // What a developer says of a component defines none.
            if member.origin == Origin::Local {
                continue;
            }
            let Some((kind, name, span)) = definition(node) else { continue };
            if let Some((earlier, place)) = names.define(&sets[member.set].name, kind, name, span) {
                let message = match earlier == kind {
                    true => format!("there is already a {} `{name}`", kind.noun()),
                    false => {
                        format!("there is already a {} `{name}`; a {} needs another name", earlier.noun(), kind.noun())
                    }
                };
                let problem = Diagnostic::error(Code::DuplicateName, span, message);
                let help = match kind {
                    _ if earlier != kind => "leave one out, or give it another name",
                    Kind::Component | Kind::Packages | Kind::Kernel => "to change it, write `override`",
                    Kind::Variant => {
                        "leave one out, or give it another name; one that builds on the other says `extends`"
                    }
                    Kind::Archive | Kind::Target => "leave one out, or give it another name",
                };
                problems.push(problem.also(place, "first here").help(help));
            }
        }
    }
    names
}

fn definition<'n>(node: &'n Node<'_>) -> Option<(Kind, &'n str, Span)> {
    let kind = Kind::of_word(&node.name)?;
    let entry = node.entries.iter().find(|entry| entry.name.is_none())?;
    match &entry.value {
        super::parse::Value::Text(name) => Some((kind, name.as_ref(), entry.span)),
        _ => None,
    }
}

/// What was read of some nodes of one file.
#[derive(Default)]
struct Decoded {
    archives: Vec<Archive>,
    components: Vec<Component>,
    packages: Vec<Packages>,
    kernels: Vec<Kernel>,
    variants: Vec<Variant>,
    features: Vec<Feature>,
    targets: Vec<Target>,
    overrides: Vec<Override>,
    checkouts: Vec<Checkout>,
}

impl Decoded {
    fn read(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Self {
        let mut decoded = Decoded::default();
        for node in nodes {
            let word = TopWord::of(&node.name);
            if reader.origin == Origin::Local {
                decoded.local(reader, node, word);
                continue;
            }
            match word {
                Some(TopWord::Archive) => decoded.archives.extend(Archive::read(reader, node)),
                Some(TopWord::Component) => decoded.components.extend(Component::read(reader, node)),
                Some(TopWord::Packages) => decoded.packages.extend(Packages::read(reader, node)),
                Some(TopWord::Kernel) => decoded.kernels.extend(Kernel::read(reader, node)),
                Some(TopWord::Feature) => decoded.features.extend(Feature::read(reader, node)),
                Some(TopWord::Target) => decoded.targets.extend(Target::read(reader, node)),
                Some(TopWord::Override) => decoded.change(reader, node),
                Some(TopWord::Variant) => {
                    decoded.features.extend(node.children.iter().flatten().filter_map(Feature::in_variant));
                    decoded.variants.extend(Variant::read(reader, node));
                }
                None if ProjectWord::of(&node.name).is_some() => decoded.project_node(reader, node),
                None => reader.unknown_node(node, TopWord::PLACE, &[TopWord::TEXTS, ProjectWord::TEXTS]),
            }
        }
        decoded
    }

    /// Reads a node of `brc.local.kdl`.
    fn local(&mut self, reader: &mut Reader<'_>, node: &Node<'_>, word: Option<TopWord>) {
        match word {
            Some(TopWord::Component) => self.checkout(reader, node),
            Some(TopWord::Override) => self.change(reader, node),
            Some(
                TopWord::Packages
                | TopWord::Kernel
                | TopWord::Variant
                | TopWord::Archive
                | TopWord::Feature
                | TopWord::Target,
            )
            | None => {
                let message = format!("`{}` does not belong into `brc.local.kdl`", node.name);
                let help = "it holds a developer's own `override` nodes, and `component \"…\" { source \"…\" }`";
                reader.error(Code::MisplacedNode, node.name_span, message, help);
            }
        }
    }

    fn change(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) {
        let mut cursor = Cursor::new(reader, node, TopWord::Override);
        self.overrides.extend(Override::read(reader, &mut cursor));
        cursor.finish(reader);
    }

    fn checkout(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) {
        let Some(checkout) = Checkout::read(reader, node) else { return };
        let name = &checkout.component;
        if self.checkouts.iter().any(|other| other.component.value == name.value) {
            let message = format!("the source of `{}` is stated twice", name.value);
            reader.error(Code::DuplicateName, name.span, message, "name one folder");
        }
        self.checkouts.push(checkout);
    }

    /// `brc.kdl` was read before; anywhere else its words are misplaced. Without a project they have no effect.
    fn project_node(&self, reader: &mut Reader<'_>, node: &Node<'_>) {
        if !reader.is_project_file {
            let message = format!("`{}` belongs into `brc.kdl`", node.name);
            reader.error(Code::MisplacedNode, node.name_span, message, "move it there");
        }
    }

    /// Of things with the same name, which is a mistake that is known already, the first one stays.
    fn add_to(self, recipes: &mut Recipes) {
        fn add<T>(all: &mut BTreeMap<Name, T>, new: Vec<T>, name: impl Fn(&T) -> &Spanned<Name>) {
            for thing in new {
                all.entry(name(&thing).value.clone()).or_insert(thing);
            }
        }
        add(&mut recipes.archives, self.archives, |archive| &archive.name);
        add(&mut recipes.components, self.components, |component| &component.name);
        add(&mut recipes.packages, self.packages, |packages| &packages.name);
        add(&mut recipes.kernels, self.kernels, |kernel| &kernel.name);
        add(&mut recipes.variants, self.variants, |variant| &variant.name);
        add(&mut recipes.targets, self.targets, |target| &target.name);
        for feature in self.features {
            recipes.features.entry(feature.name.value.clone()).or_insert(feature);
        }
        recipes.overrides.extend(self.overrides);
        for checkout in self.checkouts {
            recipes.checkouts.insert(checkout.component.value.clone(), checkout);
        }
    }
}

/// Asks for, or checks, a file or folder beside the recipes. With `{arch}` or `{platform}` in its path one that is
/// there will do: which ones are needed depends on the variant.
fn check_presence(
    sources: &SourceSet,
    local: &LocalPath,
    wanted_as: Presence,
    wanted: &mut BTreeSet<SourcePath>,
) -> Option<Diagnostic> {
    let paths = local.possible();
    let unknown: Vec<&SourcePath> = paths.iter().filter(|path| sources.presence(path).is_none()).collect();
    if !unknown.is_empty() {
        wanted.extend(unknown.into_iter().cloned());
        return None;
    }
    let found: BTreeSet<Presence> = paths.iter().filter_map(|path| sources.presence(path)).collect();
    if paths.is_empty() || found.contains(&wanted_as) {
        return None;
    }
    if found.contains(&Presence::Outside) {
        return Some(leads_out(&local.path, local.span));
    }
    let noun = if wanted_as == Presence::Folder { "folder" } else { "file" };
    let message = match found.iter().next() {
        Some(Presence::File) => format!("`{}` is a file; wanted is a folder", local.path),
        Some(Presence::Folder) => format!("`{}` is a folder; wanted is a file", local.path),
        _ => format!("there is no {noun} `{}`", local.path),
    };
    let problem = Diagnostic::error(Code::MissingFile, local.span, message);
    Some(problem.help(format!("paths are relative to the file that states them, here to `{}`", local.folder)))
}
