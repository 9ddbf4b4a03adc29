//! `brc init`: a project is started in this folder.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        json::Event,
        output::{print, print_event, status},
    },
    compose::ComposeError,
    recipe::PROJECT_FILE,
};

/// The recipe set that brc ships.
const SET: &str = "brc";

/// Starts a project in this folder.
pub fn run(context: &Context, arguments: &arguments::Init) -> Result<ExitCode, CliError> {
    let here = Path::new(".").canonicalize().map_err(|error| CliError::Machine(error.into()))?;
    let folder = here.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = arguments.name.clone().unwrap_or(folder);
    let example = || {
        let recipes = arguments.recipes.to_string_lossy();
        context.hints.project("init", &["my-images", "--recipes", &recipes])
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 24 || !name.chars().all(plain) || name.starts_with('-') {
        let message = format!(
            "`{name}` cannot be a project's name: expected up to 24 of a-z, 0-9 and `-`, as in `{}`",
            example()
        );
        return Err(CliError::Usage(message));
    }
    if name == SET {
        let message = format!(
            "`{name}` is the name of the recipe set that the project imports: expected another one, as in `{}`",
            example()
        );
        return Err(CliError::Usage(message));
    }
    let recipes = &arguments.recipes;
    if !recipes.join(PROJECT_FILE).is_file() {
        let message = format!("`{}` has no `brc.kdl`: expected the folder of brc's recipe set", recipes.display());
        return Err(CliError::Usage(message));
    }
    let Some(import) = recipes.to_str() else {
        let message = format!("`{}` is no UTF-8, and recipes are: expected another path", recipes.display());
        return Err(CliError::Usage(message));
    };
    let project = format!("project {name:?}\nread \"variants/*.kdl\"\nrecipes {SET:?} {{ path {import:?} }}\n");
    let variant = format!(
        "// Compose it: brc compose\n\nvariant {name:?} {{\n    version \"0.1.0\"\n    extends \"brc/base\"\n    \
         arch \"x86_64\" \"aarch64\"\n    include \"brc/containerd-debian\"\n}}\n"
    );
    let files =
        [(Path::new(PROJECT_FILE).to_owned(), project), (Path::new("variants").join(format!("{name}.kdl")), variant)];
    // Both or none.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let message = format!("`{}` is there already: expected a folder without a project", path.display());
        return Err(CliError::Usage(message));
    }
    for (path, text) in &files {
        write_new(path, text)?;
        let file = path.display().to_string();
        if context.is_json() { print_event(Event::Written { file }) } else { print(&file) }
    }
    status(&format!("next: {}", context.hints.project("compose", &[])));
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str) -> Result<(), ComposeError> {
    let refused = |source| ComposeError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut file = fs::File::create_new(path).map_err(refused)?;
    file.write_all(text.as_bytes()).map_err(refused)
}
