//! `brc repro`: the same actions twice more, elsewhere and otherwise, and every byte compared.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, Read},
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::atomic::Ordering,
};

use crate::{
    build::{AfterFailure, BuildError, Known},
    cli::{
        CliError, arguments,
        context::{Context, OWN_PROGRAM},
        json::{self, Object, Reproduction},
        output::{print, print_json, status},
    },
    compose::{ComposeError, ComposeOrder, Locked, Project, Session},
    content::{Difference, Differs, Digest, Entry, counted, differences},
    plan::{Action, Lowered, Network, is_called},
    store::{Store, WorkFolder, remove_all},
};

/// How many bytes are shown from the first one that differs.
const SHOWN_BYTES: usize = 16;
/// How many bytes are compared at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is different around a build that must not reach its bytes. The store lies elsewhere, too, and so do the
/// temporary and the working folder.
struct Surroundings {
    place: &'static str,
    jobs: usize,
    umask: u32,
    locale: &'static str,
    zone: &'static str,
}

impl fmt::Display for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} jobs, umask {:03o}, locale {}, time zone {}", self.jobs, self.umask, self.locale, self.zone)
    }
}

/// One action whose outcome is compared.
struct Compared {
    title: String,
    key: Digest,
    outcome: Vec<(String, Digest)>,
}

/// Builds a component twice more without using what it gave, and compares the bytes.
pub fn run(context: &Context, arguments: &arguments::Repro) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let (project, order) = context.order_of(&target, &component, Locked::Completed)?;
    let again = Again { context, project: &project, order: &order, component: &component };
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::Completed)?;
    let mut lowered = session.lower(&project, &images)?;
    lowered.plan.want_component(&component)?;
    session.build_recorded(&project, &order, &format!("repro {component}"), &lowered)?;
    let is_whole = [order.variant.to_string(), order.variant.name.clone()].contains(&component);
    let (compared, shared) = divide(&session, &lowered, is_whole.then_some(()).ok_or(component.as_str()))?;
    if compared.is_empty() {
        let message = format!("`{component}` is only fetched, by its hash: nothing is built");
        return Err(CliError::Usage(message));
    }
    let many = context.config.jobs.max(2);
    let all = [
        Surroundings { place: "a", jobs: 1, umask: 0o077, locale: "tr_TR.UTF-8", zone: "Pacific/Kiritimati" },
        Surroundings { place: "another place", jobs: many, umask: 0o002, locale: "C", zone: "America/St_Johns" },
    ];
    let work = match &arguments.elsewhere {
        Some(folder) => WorkFolder::new_in(folder).map_err(|error| CliError::Machine(error.into()))?,
        None => session.store.temporary()?,
    };
    for surroundings in &all {
        let folder = work.path().join(surroundings.place);
        let other = Store::open(&folder.join("store"))?;
        session.store.copy_to(&shared, &other)?;
        status(&format!("building `{component}` again: {surroundings}"));
        if let Some(code) = again.build(surroundings, &folder)? {
            return Ok(code);
        }
        for known in &compared {
            if let Some(found) = compare(known, &session.store, &other)? {
                return Ok(report_difference(context, known, &found, surroundings));
            }
        }
        // Space for the next one.
        drop(other);
        remove_all(&folder).map_err(|error| CliError::Machine(error.into()))?;
    }
    report_same(context, &component, &session.store, &compared, &all)
}

/// The actions that are compared, in the order of the plan, and the keys of those that they need. What is fetched has
/// the bytes that its hash says.
fn divide(
    session: &Session<'_>,
    lowered: &Lowered,
    own: Result<(), &str>,
) -> Result<(Vec<Compared>, BTreeSet<Digest>), CliError> {
    let known = session.look(lowered)?;
    let mut compared = Vec::new();
    let mut shared = BTreeSet::new();
    for id in lowered.plan.wanted() {
        let (Some(step), Some(Known::Done(key, action, outcome))) = (lowered.plan.steps.get(id.0), known.get(id.0))
        else {
            continue;
        };
        let is_own = own.map_or_else(|name| is_called(&step.component, name), |()| true);
        let is_fetched = match action {
            Action::Fetch(_) => true,
            Action::Run(run) => run.network != Network::None,
            Action::Assemble(_) | Action::Pack(_) => false,
        };
        if is_own && !is_fetched {
            let outcome = outcome.iter().map(|(name, tree)| (name.clone(), *tree)).collect();
            compared.push(Compared { title: step.title(), key: key.digest(), outcome });
        } else {
            shared.insert(key.digest());
        }
    }
    Ok((compared, shared))
}

/// What is built again.
struct Again<'a> {
    context: &'a Context,
    project: &'a Project,
    order: &'a ComposeOrder,
    component: &'a str,
}

impl Again<'_> {
    /// Runs `brc build` as a process of its own, since locale, umask and folders belong to a process. Its exit code when
    /// it failed for a reason that says nothing about the component: interrupted, a full disk, a bug of ours.
    fn build(&self, surroundings: &Surroundings, folder: &Path) -> Result<Option<ExitCode>, CliError> {
        let (context, component) = (self.context, self.component);
        let machine = |error: io::Error| CliError::Machine(error.into());
        let temporary = folder.join("temporary");
        fs::create_dir_all(&temporary).map_err(machine)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "it is brc itself, in other surroundings, which belong to a process"
        )]
        let mut command = Command::new(OWN_PROGRAM);
        command.arg("build").arg(&self.project.root).arg(component).arg("--offline");
        command.arg("--store").arg(folder.join("store")).arg("--jobs").arg(surroundings.jobs.to_string());
        let architectures: Vec<&str> = self.order.architectures.iter().map(|one| one.name()).collect();
        command.arg("--variant").arg(self.order.variant.to_string()).arg("--arch").arg(architectures.join(","));
        for (name, folder) in context.config.sources()? {
            let folder = folder.canonicalize().map_err(machine)?;
            command.arg("--source").arg(format!("{name}={}", folder.display()));
        }
        // As paths from anywhere; the child reads no variable for them.
        for key in &context.config.signing_keys {
            command.arg("--signing-key").arg(key.canonicalize().map_err(machine)?);
        }
        command.env_remove("BRC_SIGNING_KEY");
        for variable in ["LC_ALL", "LANG", "LANGUAGE"] {
            command.env(variable, surroundings.locale);
        }
        command.env("TZ", surroundings.zone).env("TMPDIR", &temporary).env("HOME", folder).current_dir(&temporary);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(surroundings.umask));
        let child = command.spawn();
        rustix::process::umask(before);
        let ended = child.and_then(|mut child| child.wait()).map_err(machine)?;
        if context.cancelled().load(Ordering::Relaxed) {
            return Err(ComposeError::Build(BuildError::Cancelled).into());
        }
        match ended.code() {
            Some(0) => Ok(None),
            Some(1) => {
                let message = format!("`{component}` does not build in other surroundings ({surroundings})");
                Err(CliError::Found(message))
            }
            Some(code) => {
                status(&format!("`{component}` was not built again, for the reason above: nothing was compared"));
                Ok(Some(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))))
            }
            None => Err(CliError::Machine(format!("brc was ended by {ended} while it built again").into())),
        }
    }
}

/// What differs first between an outcome here and that of the same action there.
struct Found {
    output: String,
    difference: Option<Difference>,
    bytes: Option<Bytes>,
}

/// The first byte that differs in a file, and what follows from there on both sides.
#[derive(Debug, PartialEq, Eq)]
struct Bytes {
    at: u64,
    first: Vec<u8>,
    second: Vec<u8>,
}

fn compare(known: &Compared, store: &Store, other: &Store) -> Result<Option<Found>, CliError> {
    let Some(again) = other.recall(known.key)? else {
        // Everything before it was the same, so its action itself differs.
        return Ok(Some(Found { output: "action".to_owned(), difference: None, bytes: None }));
    };
    for (name, tree) in &known.outcome {
        let Some(other_tree) = again.get(name).filter(|again| *again != tree) else { continue };
        let difference = differences(&*store.tree(*tree)?, &*other.tree(*other_tree)?).into_iter().next();
        let bytes = match &difference {
            Some(Difference { how: Differs::Bytes { first, second }, .. }) => {
                let (first, second) = (store.open_blob(*first)?, other.open_blob(*second)?);
                first_difference(first, second).map_err(|error| CliError::Machine(error.into()))?
            }
            _ => None,
        };
        return Ok(Some(Found { output: name.clone(), difference, bytes }));
    }
    Ok(None)
}

fn first_difference(mut first: impl Read, mut second: impl Read) -> io::Result<Option<Bytes>> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        one.clear();
        other.clear();
        (&mut first).take(PIECE_BYTES as u64).read_to_end(&mut one)?;
        (&mut second).take(PIECE_BYTES as u64).read_to_end(&mut other)?;
        if one != other {
            let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            let shown = |piece: &mut Vec<u8>, rest: &mut dyn Read| -> io::Result<Vec<u8>> {
                // The difference may stand at the end of the piece.
                rest.take(SHOWN_BYTES as u64).read_to_end(piece)?;
                Ok(piece.iter().skip(same).take(SHOWN_BYTES).copied().collect())
            };
            let bytes = (shown(&mut one, &mut first)?, shown(&mut other, &mut second)?);
            return Ok(Some(Bytes { at: at + same as u64, first: bytes.0, second: bytes.1 }));
        }
        if one.is_empty() {
            return Ok(None);
        }
        at += one.len() as u64;
    }
}

fn report_difference(context: &Context, known: &Compared, found: &Found, surroundings: &Surroundings) -> ExitCode {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let path = found.difference.as_ref().map(|difference| difference.path.to_string());
    if context.is_json() {
        let bytes = found.bytes.as_ref();
        print_json(&Object::Reproduction(Reproduction::Different {
            same: false,
            step: known.title.clone(),
            output: found.output.clone(),
            path,
            difference: found.difference.as_ref().map(ToString::to_string),
            byte: bytes.map(|bytes| bytes.at),
            before: bytes.map(|bytes| hex(&bytes.first)),
            again: bytes.map(|bytes| hex(&bytes.second)),
            surroundings: shown(surroundings),
        }));
        return ExitCode::FAILURE;
    }
    let Some(difference) = &found.difference else {
        print(&format!("other action: `{}` is planned otherwise with {surroundings}", known.title));
        return ExitCode::FAILURE;
    };
    print(&format!("other bytes: `{}`, output `{}`: {difference}", known.title, found.output));
    if let Some(bytes) = &found.bytes {
        print(&format!("  from byte {}\n  before {}\n  again  {}", bytes.at, hex(&bytes.first), hex(&bytes.second)));
    }
    print(&format!("  with {surroundings}"));
    ExitCode::FAILURE
}

fn report_same(
    context: &Context,
    component: &str,
    store: &Store,
    compared: &[Compared],
    all: &[Surroundings],
) -> Result<ExitCode, CliError> {
    let mut files = 0;
    let mut lines = String::new();
    for known in compared {
        for (name, tree) in &known.outcome {
            let is_file = |(_, entry): &(_, &Entry)| matches!(entry, Entry::File { .. });
            files += store.tree(*tree)?.entries().filter(is_file).count();
            lines.push_str(&format!("{} {name} {tree}\n", known.title));
        }
    }
    let digest = match compared {
        [Compared { outcome, .. }] if outcome.len() == 1 => outcome.first().map(|(_, tree)| *tree),
        _ => None,
    };
    let digest = digest.unwrap_or_else(|| Digest::of(lines.as_bytes()));
    if context.is_json() {
        print_json(&Object::Reproduction(Reproduction::Same {
            same: true,
            component: component.to_owned(),
            digest: digest.to_string(),
            files,
            actions: compared.iter().map(|known| known.title.clone()).collect(),
            surroundings: all.iter().map(shown).collect(),
        }));
    } else {
        print(&format!("same bytes: {digest} ({})", counted(files, "file")));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(surroundings: &Surroundings) -> json::Surroundings {
    json::Surroundings {
        jobs: surroundings.jobs,
        umask: format!("{:03o}", surroundings.umask),
        locale: surroundings.locale.to_owned(),
        time_zone: surroundings.zone.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_found_in_any_piece() {
        let long = vec![7; 3 * PIECE_BYTES];
        let with = |at: usize| {
            let mut bytes = long.clone();
            bytes[at] = 8;
            bytes
        };
        for at in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES - 1] {
            let found = first_difference(&long[..], &with(at)[..]).unwrap().unwrap();
            let length = SHOWN_BYTES.min(long.len() - at);
            let mut second = vec![7; length];
            second[0] = 8;
            assert_eq!(found, Bytes { at: at as u64, first: vec![7; length], second });
        }
        assert_eq!(first_difference(&long[..], &long[..]).unwrap(), None);
        let shorter = first_difference(&long[..], &long[..10]).unwrap().unwrap();
        assert_eq!((shorter.at, shorter.second), (10, vec![]));
    }
}
