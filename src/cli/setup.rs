//! `brc init` and `brc completions`.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use clap::CommandFactory as _;

use super::{
    CliError,
    arguments::{self, Arguments},
    complain::{print, say},
    context::Context,
};
use crate::compose::ComposeError;

/// Starts a project in this folder.
pub fn init(_context: &Context, arguments: &arguments::Init) -> Result<ExitCode, CliError> {
    let here = Path::new(".").canonicalize().map_err(|error| CliError::Machine(error.into()))?;
    let folder = here.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = arguments.name.clone().unwrap_or(folder);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 24 || !name.chars().all(plain) {
        let message = format!("`{name}` cannot be a project's name: expected up to 24 of a-z, 0-9 and `-`");
        return Err(CliError::Usage(message));
    }
    let recipes = &arguments.recipes;
    if !recipes.join("brc.kdl").is_file() {
        let message = format!("`{}` has no `brc.kdl`: expected the folder of brc's recipe set", recipes.display());
        return Err(CliError::Usage(message));
    }
    let project = format!(
        "project {name:?}\nread \"variants/*.kdl\"\nrecipes \"brc\" {{ path {:?} }}\n",
        recipes.display().to_string()
    );
    let variant = format!(
        "// Compose it: brc compose variants/{name}.kdl\n\nvariant {name:?} {{\n    version \"0.1.0\"\n    \
         extends \"brc/base\"\n    arch \"x86_64\"\n    include \"brc/containerd\"\n}}\n"
    );
    write_new(Path::new("brc.kdl"), &project)?;
    write_new(&Path::new("variants").join(format!("{name}.kdl")), &variant)?;
    say("next: brc compose variants/*.kdl");
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str) -> Result<(), ComposeError> {
    let refused = |source| ComposeError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut file = fs::File::create_new(path).map_err(refused)?;
    file.write_all(text.as_bytes()).map_err(refused)?;
    print(&path.display().to_string());
    Ok(())
}

/// Prints a shell's completions.
pub fn completions(arguments: &arguments::Completions) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "brc", &mut script);
    print(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
