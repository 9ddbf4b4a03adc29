//! `brc boot`: an image in a virtual machine.

use std::{
    env, fs,
    io::{self, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use brc_contract::{Architecture, ImageName, command_line};

use crate::{
    build::AfterFailure,
    cli::{
        CliError, arguments,
        boot_order::order,
        context::{Context, OWN_PROGRAM},
        image_file::must_be_image,
        json::Event,
        output::{print_event, status},
    },
    compose::{ComposeOrder, Project, ProjectPlace, SetGoal},
    content::counted,
    graph::Role,
    inspect,
    recipe::PROJECT_FILE,
    store::Store,
    vm::{BootError, Ended, Machine, Notice},
};

/// The exit code of a machine that did not do what was waited for.
const NOT_FOUND: u8 = 1;
/// The exit code of what was stopped by Ctrl-C, as shells have it.
const STOPPED: u8 = 130;

/// Boots an image and waits for what the arguments name.
pub fn run(context: &Context, arguments: &arguments::Boot) -> Result<ExitCode, CliError> {
    let order = order(context, arguments)?;
    // Before anything is fetched for it.
    order.check().map_err(failed)?;
    must_be_image(&order.image)?;
    fs::File::open(&order.image).map_err(|source| failed(BootError::Image { path: order.image.clone(), source }))?;
    let store = context.store()?;
    let architecture = architecture_of(&arguments.image)?;
    if !order.credentials.is_empty() && is_sealed(&arguments.image)? {
        status(
            "warning: the image takes no credentials: it has component `sealed`, and `--credential` changes nothing",
        );
    } else if order.door.is_some() && is_sealed(&arguments.image)? {
        status("warning: the image takes no credentials: its door stays closed to `brc exec`, `brc logs` and `brc cp`");
    }
    let machine = machine_in(context, store, &arguments.image, arguments.recipe.as_deref(), architecture)?;
    let mut serial: Box<dyn Write> =
        if context.is_json() { Box::new(JsonLines::default()) } else { Box::new(stdout()) };
    let tell = |notice: &Notice| status(&format!("warning: {notice}"));
    let ended = machine.boot(&order, serial.as_mut(), &tell, context.cancelled()).map_err(failed)?;
    drop(serial);
    Ok(report(context, arguments, ended))
}

/// The machine that an image boots in; its QEMU is of the project at `recipe`, where that is named.
pub(super) fn machine_for(context: &Context, image: &Path, recipe: Option<&Path>) -> Result<Machine, CliError> {
    must_be_image(image)?;
    let architecture = architecture_of(image)?;
    machine_in(context, context.store()?, image, recipe, architecture)
}

fn machine_in(
    context: &Context,
    store: Store,
    image: &Path,
    recipe: Option<&Path>,
    architecture: Architecture,
) -> Result<Machine, CliError> {
    let (project, of) = machine_project(context, &store, image, recipe, architecture)?;
    let session = context.session_with(store, &project, AfterFailure::Stop)?;
    let tools = session.tool(&project, &of, Role::Machine)?;
    Ok(Machine::new(session.store.clone(), PathBuf::from(OWN_PROGRAM), tools, architecture))
}

/// Whether an image takes nothing that `--credential` passes.
fn is_sealed(image: &Path) -> Result<bool, CliError> {
    let words = inspect::command_line(image).map_err(|error| CliError::Machine(error.into()))?;
    Ok(command_line::value(&words, "systemd.import_credentials")
        .is_some_and(|value| ["no", "0", "false", "off"].contains(&value)))
}

fn failed(error: BootError) -> CliError {
    if error.is_usage() { CliError::usage(&error) } else { CliError::Machine(error.into()) }
}

/// Says how a machine ended; the exit code for it.
fn report(context: &Context, arguments: &arguments::Boot, ended: Ended) -> ExitCode {
    let wanted = arguments.until.as_deref();
    let (word, tail, code) = match &ended {
        Ended::Found => ("found", None, ExitCode::SUCCESS),
        Ended::TimedOut { tail } => ("timed-out", Some(tail), ExitCode::from(NOT_FOUND)),
        Ended::Halted { tail } if wanted.is_some() => ("halted", Some(tail), ExitCode::from(NOT_FOUND)),
        Ended::Halted { .. } => ("halted", None, ExitCode::SUCCESS),
        Ended::Cancelled => ("cancelled", None, ExitCode::from(STOPPED)),
    };
    if context.is_json() {
        print_event(Event::BootEnded { how: word.to_owned(), last: tail.cloned() });
        return code;
    }
    let missed = wanted.map(|text| format!(" without printing `{text}`")).unwrap_or_default();
    let message = match &ended {
        Ended::TimedOut { .. } => {
            Some(format!("error: {} went by{missed}", counted(arguments.timeout.unwrap_or_default(), "second")))
        }
        Ended::Halted { .. } if wanted.is_some() => Some(format!("error: the machine ended{missed}")),
        Ended::Found | Ended::Halted { .. } | Ended::Cancelled => None,
    };
    if let (Some(message), Some(tail)) = (message, tail) {
        status(&format!("{message}; its last lines:"));
        tail.iter().for_each(|line| status(&format!("  {line}")));
    }
    code
}

/// The project whose locked QEMU is used: the named one; else the last one that composed the image's variant in
/// this store; else the nearest one above the image, or above where we are.
fn machine_project(
    context: &Context,
    store: &Store,
    image: &Path,
    recipe: Option<&Path>,
    architecture: Architecture,
) -> Result<(Project, ComposeOrder), CliError> {
    let variant = named(image).map(|(name, _)| name.variant);
    let open = |file: &Path| context.open(ProjectPlace::of(file)?, &SetGoal::AsLocked);
    if let Some(recipe) = recipe {
        return with_machine(open(recipe)?, variant.as_deref(), architecture);
    }
    if let Some(name) = &variant {
        for folder in store.projects(name)? {
            let file = folder.join(PROJECT_FILE);
            if !file.is_file() {
                continue;
            }
            // A project that has changed since is passed over; another one may do.
            if let Ok(project) = open(&file)
                && project.variant(Some(name)).is_ok()
            {
                return with_machine(project, variant.as_deref(), architecture);
            }
        }
    }
    let canonical = image.canonicalize().ok();
    #[expect(clippy::disallowed_methods, reason = "only cli knows where it was started")]
    let here = env::current_dir().ok();
    let above = [canonical.as_deref().and_then(Path::parent), here.as_deref()];
    let folders = above.iter().flatten().flat_map(|folder| folder.ancestors());
    let file = folders.map(|folder| folder.join(PROJECT_FILE)).find(|file| file.is_file()).ok_or_else(|| {
        let image = image.display();
        CliError::Usage(format!(
            "no project brings QEMU and its firmware: there is no `{PROJECT_FILE}` above `{image}` or here, and this \
             store has not composed it; name one with `--recipe FILE`"
        ))
    })?;
    with_machine(open(&file)?, variant.as_deref(), architecture)
}

/// The variant of a project whose tools are used: the image's own, or else any that has a machine.
fn with_machine(
    project: Project,
    variant: Option<&str>,
    architecture: Architecture,
) -> Result<(Project, ComposeOrder), CliError> {
    let own = variant.and_then(|name| project.variant(Some(name)).ok()).or_else(|| project.variant(None).ok());
    let all = project.recipes.variants.values().filter(|variant| variant.version.is_some());
    let candidates = own.into_iter().chain(all.map(|variant| variant.name.value.clone()));
    for variant in candidates {
        let stated = project.stated_architectures(&variant);
        let Some(architecture) = stated.iter().find(|stated| **stated == architecture) else { continue };
        let architectures = vec![*architecture];
        let order = ComposeOrder { variant, architectures, image_version: None, beside: None };
        let flats = project.flats(&order.variant, &order.architectures)?;
        if flats.iter().any(|flat| flat.roles.contains_key(&Role::Machine)) {
            return Ok((project, order));
        }
    }
    let root = project.root.display();
    Err(CliError::Usage(format!(
        "no variant of the project in `{root}` is for {} and has a tool for `machine`: name another \
         project with `--recipe FILE`",
        architecture.name()
    )))
}

/// The architecture that an image is for: what its partitions say, or else its name.
fn architecture_of(image: &Path) -> Result<Architecture, CliError> {
    let stated = inspect::architecture(image).map_err(|error| CliError::Machine(error.into()))?;
    stated.or_else(|| named(image).map(|(_, architecture)| architecture)).ok_or_else(|| {
        let image = image.display();
        CliError::Usage(format!(
            "`{image}` does not say which architecture it is for: expected a disk image that brc composed, or one \
             that is called as such, `VARIANT_VERSION_ARCHITECTURE.raw`"
        ))
    })
}

/// What an image is called where nobody gave it another name.
fn named(image: &Path) -> Option<(ImageName, Architecture)> {
    let (name, architecture, _) = ImageName::of_file(image.file_name()?.to_str()?)?;
    Some((name, architecture))
}

/// Each line as a JSON object.
#[derive(Default)]
struct JsonLines {
    line: Vec<u8>,
}

impl JsonLines {
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        print_event(Event::Serial { line: String::from_utf8_lossy(&line).into_owned() });
    }
}

impl Write for JsonLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' { self.end_line() } else { self.line.push(*byte) }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}
