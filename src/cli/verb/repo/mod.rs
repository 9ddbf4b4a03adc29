//! `brc repo`: a repository of updates.

mod fault;
mod state;

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::TcpListener,
    ops::Range,
    path::Path,
    process::ExitCode,
};

use brc_contract::{
    ImageName,
    update::{SEEDS, WavePoint},
};

use crate::{
    cli::{
        CliError,
        arguments::{self, Repo, RepoVerb, RoleKey, Signing, Versions},
        context::{Context, now},
        image_file::must_be_image,
        output::status,
    },
    content::parse_date,
    inspect::{self, Expected, Parts, verify},
    publish::{Halt, Images, Keys, NewImage, Part, Policy, Repository, Role, RootChange, Signers, SigningKey, serve},
};

pub(super) use fault::{key_told, told};

/// The roles whose keys a change of what is offered needs.
const OFFERING: [Role; 3] = [Role::Targets, Role::Snapshot, Role::Timestamp];
/// So many digits of an identity tell keys apart; fewer may be a slip.
const LEAST_DIGITS: usize = 8;

/// Keeps a repository.
pub fn run(context: &Context, arguments: &Repo) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        RepoVerb::Init { signing, policy } => {
            let keys = keys(&signing.keys, &Role::ALL)?;
            let repository = Repository::init(&signing.folder, &self::policy(policy), &signers(signing, &keys));
            if repository.map_err(told)?.state().map_err(told)?.waiting.is_empty() {
                let root = signing.folder.join("metadata/1.root.json");
                status(&format!("machines trust what `{}` says: put it into their image", root.display()));
            }
            state::check(context, &signing.folder)
        }
        RepoVerb::Add { signing, images, wave, least_safe } => {
            least_safe.as_deref().map(|text| version("--least-safe", text)).transpose()?;
            let waves = wave.iter().map(|text| wave_point(text)).collect::<Result<Vec<_>, _>>()?;
            change(context, signing, &OFFERING, |repository, signers| {
                for image in images {
                    status(&format!("verifying {}", image.display()));
                    add(repository, image, (waves.clone(), least_safe.clone()), signers)?;
                }
                Ok(())
            })
        }
        RepoVerb::Limit { signing, most } => {
            most.as_deref().map(|text| version("VERSION", text)).transpose()?;
            change(context, signing, &OFFERING, |repository, signers| {
                repository.limit(most.clone(), signers).map_err(told)
            })
        }
        RepoVerb::Halt(versions) => halt(context, versions, Halt::Halted),
        RepoVerb::Resume(versions) => halt(context, versions, Halt::Resumed),
        RepoVerb::Remove(versions) => {
            let images = images(&versions.versions)?;
            change(context, &versions.signing, &OFFERING, |repository, signers| {
                repository.remove(&images, signers).map_err(told)
            })
        }
        RepoVerb::Root { signing, add_key, drop_key, policy } => {
            let added = add_key.iter().map(added).collect::<Result<Vec<_>, _>>()?;
            let dropped = drop_key.iter().map(dropped).collect::<Result<Vec<_>, _>>()?;
            let root = RootChange { added, dropped, policy: self::policy(policy) };
            change(context, signing, &Role::ALL, |repository, signers| {
                repository.change_root(&root, signers).map_err(told)
            })
        }
        RepoVerb::Sign { folder, copies, keys: at } => {
            let keys = at.as_deref().map_or_else(|| Ok(Keys::default()), |at| keys(at, &Role::ALL))?;
            let mut repository = Repository::open(folder).map_err(told)?;
            repository.sign(copies, &Signers { keys: &keys, now: now(), may_wait: true }).map_err(told)?;
            // Who only signs does not have the images.
            state::show(context, repository.state().map_err(told)?)
        }
        RepoVerb::Refresh { signing, targets } => {
            let roles = &OFFERING[usize::from(!targets)..];
            change(context, signing, roles, |repository, signers| {
                if *targets { repository.renew_targets(signers) } else { repository.refresh(signers) }.map_err(told)
            })
        }
        RepoVerb::Check { folder } => state::check(context, folder),
        RepoVerb::Serve { folder, listen } => serving(folder, listen),
    }
}

/// Opens a repository, changes it, and checks what became of it.
fn change(
    context: &Context,
    signing: &Signing,
    roles: &[Role],
    change: impl FnOnce(&mut Repository, &Signers<'_>) -> Result<(), CliError>,
) -> Result<ExitCode, CliError> {
    let keys = keys(&signing.keys, roles)?;
    let mut repository = Repository::open(&signing.folder).map_err(told)?;
    change(&mut repository, &signers(signing, &keys))?;
    drop(repository);
    state::check(context, &signing.folder)
}

fn halt(context: &Context, versions: &Versions, halt: Halt) -> Result<ExitCode, CliError> {
    let images = images(&versions.versions)?;
    change(context, &versions.signing, &OFFERING, |repository, signers| {
        repository.halt(&images, halt, signers).map_err(told)
    })
}

fn signers<'k>(signing: &Signing, keys: &'k Keys) -> Signers<'k> {
    Signers { keys, now: now(), may_wait: signing.draft }
}

/// Adds an image that was found good.
pub(super) fn add(
    repository: &mut Repository,
    image: &Path,
    (waves, least_safe): (Vec<WavePoint>, Option<String>),
    signers: &Signers<'_>,
) -> Result<(), CliError> {
    must_be_image(image)?;
    let shown = image.display();
    let report = verify(image, &Expected::default()).map_err(|error| CliError::Machine(error.into()))?;
    if let Some(finding) = report.findings.first() {
        let message = format!("`{shown}` is not as brc writes images: {}; see `brc verify`", finding.problem);
        return Err(CliError::Found(message));
    }
    let found = inspect::parts(image).map_err(|error| CliError::Machine(error.into()))?;
    let parts: Parts = found.ok_or_else(|| CliError::Found(format!("`{shown}` has no parts of an update")))?;
    let (mut root, mut hash) = (stretch(image, &parts.root)?, stretch(image, &parts.hash)?);
    let image = NewImage {
        name: parts.name,
        architecture: parts.architecture.name(),
        root_hash: parts.root_hash,
        empty_slots: parts.empty_slots,
        root: Part { file: &mut root, size: parts.root.end - parts.root.start },
        hash: Part { file: &mut hash, size: parts.hash.end - parts.hash.start },
        kernel_image: Part { size: parts.kernel_image.len() as u64, file: &mut parts.kernel_image.as_slice() },
        waves,
        least_safe,
    };
    repository.add(image, signers).map_err(told)
}

fn stretch(image: &Path, range: &Range<u64>) -> Result<impl Read, CliError> {
    let opened = File::open(image).and_then(|mut file| file.seek(SeekFrom::Start(range.start)).map(|_| file));
    let file = opened.map_err(|error| CliError::Usage(format!("`{}` cannot be read: {error}", image.display())))?;
    Ok(file.take(range.end - range.start))
}

fn keys(folder: &Path, roles: &[Role]) -> Result<Keys, CliError> {
    Keys::read(folder, roles).map_err(key_told)
}

fn policy(policy: &arguments::Policy) -> Policy {
    let numbers = |all: &[arguments::RoleNumber]| all.iter().map(|one| (one.role, one.number)).collect();
    Policy { thresholds: numbers(&policy.threshold), days: numbers(&policy.days) }
}

fn added(key: &RoleKey) -> Result<(Role, SigningKey), CliError> {
    Ok((key.role, SigningKey::read(Path::new(&key.key)).map_err(key_told)?))
}

/// The digits that a key's identity begins with: given, or of a file.
fn dropped(key: &RoleKey) -> Result<(Role, String), CliError> {
    let is_digits = key.key.len() >= LEAST_DIGITS && key.key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digits {
        return Ok((key.role, key.key.to_ascii_lowercase()));
    }
    Ok((key.role, SigningKey::read(Path::new(&key.key)).map_err(key_told)?.identity()))
}

/// Reads `1.10.0` and `quickstart_1.10.0`.
fn images(names: &[String]) -> Result<Vec<Images>, CliError> {
    let read = |text: &String| {
        let (variant, text) = match ImageName::parse(text) {
            Some(name) => (Some(name.variant), name.version),
            None => (None, text.clone()),
        };
        version("VERSION", &text)?;
        Ok(Images { variant, version: text })
    };
    names.iter().map(read).collect()
}

/// Refuses what no image can have as its version.
fn version(what: &str, text: &str) -> Result<(), CliError> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".~^+-".contains(&byte);
    if text.starts_with(|first: char| first.is_ascii_digit()) && text.len() <= 64 && text.bytes().all(is_known) {
        return Ok(());
    }
    let shown = text.escape_debug();
    Err(CliError::Usage(format!("`{what}` is `{shown}`: expected a version of an image, such as `1.10.0`")))
}

/// Reads `2026-12-01T08:00:00Z=5%`.
fn wave_point(text: &str) -> Result<WavePoint, CliError> {
    let read = || {
        let (date, percent) = text.split_once('=')?;
        let percent: u32 = percent.strip_suffix('%')?.parse().ok().filter(|percent| *percent <= 100)?;
        Some(WavePoint { at: parse_date(date)?, seeds: (percent * SEEDS).div_ceil(100) })
    };
    let wrong = || {
        let example = "2026-12-01T08:00:00Z=5%";
        CliError::Usage(format!("`--wave {text}`: expected a date in UTC and a percentage: `{example}`"))
    };
    read().ok_or_else(wrong)
}

fn serving(folder: &Path, listen: &str) -> Result<ExitCode, CliError> {
    if !folder.join("metadata").is_dir() {
        return Err(CliError::Usage(format!("`{}` holds no repository", folder.display())));
    }
    let refused = |error| CliError::Usage(format!("`--listen {listen}` cannot be listened at: {error}"));
    let listener = TcpListener::bind(listen).map_err(refused)?;
    // Port 0 is any that is free.
    let address = listener.local_addr().map_err(refused)?;
    status(&format!("serving {} at http://{address}/", folder.display()));
    serve(&listener, folder, &|line| status(&line)).map_err(|error| CliError::Machine(error.into()))?;
    Ok(ExitCode::SUCCESS)
}
