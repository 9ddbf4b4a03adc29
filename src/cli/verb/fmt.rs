//! `brc fmt`: recipes in their one layout.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        diagnostics::show_diagnostics,
        json::Event,
        output::{print, print_event, status},
    },
    compose::{ComposeError, Project, ProjectPlace},
    content::counted,
    recipe::{FormatError, PROJECT_FILE, SourcePath, SourceSet, format},
};

/// Lays recipes out and names those that changed; with `--check` only names them.
pub fn run(context: &Context, arguments: &arguments::Format) -> Result<ExitCode, CliError> {
    let files = if arguments.files.is_empty() { of_project()? } else { named(&arguments.files)? };
    let mut changed = BTreeMap::new();
    let mut is_good = true;
    for (path, text) in files {
        let name = SourcePath::new(&path.to_string_lossy());
        let mut sources = SourceSet::new(None, Some(name.clone()));
        sources.add_file(name, text.clone());
        let Some((file, _)) = sources.files().next() else { continue };
        match format(&sources, file) {
            Ok(new) if new.as_bytes() != text => drop(changed.insert(path, new)),
            Ok(_) => {}
            Err(FormatError::Mistakes(mistakes)) => {
                is_good = false;
                show_diagnostics(context.config.style, &sources, &mistakes);
            }
            Err(FormatError::Changed) => {
                return Err(CliError::Bug(format!("`{}` would mean something else", path.display())));
            }
        }
    }
    for (path, text) in &changed {
        if !arguments.check {
            replace(path, text)?;
        }
        if context.is_json() {
            print_event(Event::Formatted { file: path.display().to_string(), written: !arguments.check });
        } else {
            print(&path.display().to_string());
        }
    }
    if !is_good {
        return Ok(ExitCode::from(2));
    }
    if arguments.check && !changed.is_empty() {
        status(&format!("error: not laid out: {}", counted(changed.len(), "file")));
        status(&format!("next: {}", context.hints.files("fmt", changed.keys())));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The recipes that are named, in the order of their names.
fn named(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, Vec<u8>>, CliError> {
    let read = |path: &PathBuf| match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            Ok((path.clone(), fs::read(path).map_err(|source| unreadable(path, source))?))
        }
        Ok(_) => Err(CliError::Usage(format!(
            "`{}` is no file: expected recipes, or nothing for all of the project",
            path.display()
        ))),
        Err(source) => Err(unreadable(path, source)),
    };
    paths.iter().map(read).collect()
}

fn unreadable(path: &Path, source: std::io::Error) -> CliError {
    ComposeError::Read { path: path.to_owned(), source }.into()
}

/// The recipes of the project of this folder, without the sets that it imports. What they mean may be wrong.
fn of_project() -> Result<BTreeMap<PathBuf, Vec<u8>>, CliError> {
    let here = Path::new(".");
    let sources = match Project::open_above(here) {
        Ok(project) => project.sources,
        Err(ComposeError::Recipes { sources, .. }) => *sources,
        Err(error) => return Err(error.into()),
    };
    let folder = here.canonicalize().map_err(|source| unreadable(here, source))?;
    let root = ProjectPlace::root_above(&folder).unwrap_or(&folder).to_owned();
    let sets: Vec<SourcePath> = sources
        .files()
        .filter(|(_, path)| path.name() == PROJECT_FILE && path.as_str() != PROJECT_FILE)
        .map(|(_, path)| path.folder())
        .collect();
    let is_own = |path: &SourcePath| {
        path.below(&SourcePath::default()).is_some() && !sets.iter().any(|set| path.below(set).is_some())
    };
    let own = sources.files().filter(|(_, path)| is_own(path)).map(|(_, path)| {
        let path = root.join(path.as_str());
        let bytes = fs::read(&path).map_err(|source| unreadable(&path, source))?;
        let shown = path.strip_prefix(&folder).map(Path::to_owned).unwrap_or(path);
        Ok((shown, bytes))
    });
    own.collect()
}

/// Writes a file anew, whole or not at all; a link stays one.
fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let refused = |source| ComposeError::Write { path: path.to_owned(), source };
    let target = path.canonicalize().map_err(refused)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let permissions = fs::metadata(&target).map_err(refused)?.permissions();
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder).map_err(refused)?;
    file.write_all(text.as_bytes()).map_err(refused)?;
    file.persist(&target).map_err(|error| refused(error.error))?;
    Ok(())
}
