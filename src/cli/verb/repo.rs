//! `brc repo`: a repository of updates.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::TcpListener,
    ops::Range,
    path::Path,
    process::ExitCode,
};

use brc_contract::update::{SEEDS, WavePoint};

use crate::{
    cli::{
        CliError,
        arguments::{Repo, RepoVerb, Signing},
        context::{Context, now},
        image_file::must_be_image,
        json::{self, Object},
        output::{print, print_json, status},
        progress::bytes,
    },
    content::{counted, date_text, parse_date},
    inspect::{self, Expected, Parts, verify},
    publish::{KeyError, Keys, NewImage, Part, Repository, RepositoryError, Role, Terms, serve},
};

/// Keeps a repository.
pub fn run(context: &Context, arguments: &Repo) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        RepoVerb::Init(signing) => {
            Repository::init(&signing.folder, &keys(signing, &Role::ALL)?, Terms::default(), now()).map_err(told)?;
            let root = signing.folder.join("metadata/1.root.json");
            status(&format!("machines trust what `{}` says: put it into their image", root.display()));
            checked(context, &signing.folder)
        }
        RepoVerb::Add { signing, images, wave, least_safe } => {
            least_safe.as_deref().map(|text| version("--least-safe", text)).transpose()?;
            let waves = wave.iter().map(|text| wave_point(text)).collect::<Result<Vec<_>, _>>()?;
            let (keys, now) = (keys(signing, &Role::ALL[1..])?, now());
            let mut repository = Repository::open(&signing.folder, now).map_err(told)?;
            for image in images {
                status(&format!("verifying {}", image.display()));
                add(&mut repository, image, &keys, (waves.clone(), least_safe.clone()), now)?;
            }
            checked(context, &signing.folder)
        }
        RepoVerb::Limit { signing, most } => {
            most.as_deref().map(|text| version("VERSION", text)).transpose()?;
            let (keys, now) = (keys(signing, &Role::ALL[1..])?, now());
            let mut repository = Repository::open(&signing.folder, now).map_err(told)?;
            repository.limit(most.clone(), &keys, Terms::default(), now).map_err(told)?;
            checked(context, &signing.folder)
        }
        RepoVerb::Refresh(signing) => {
            let (keys, now) = (keys(signing, &[Role::Snapshot, Role::Timestamp])?, now());
            let mut repository = Repository::open(&signing.folder, now).map_err(told)?;
            repository.refresh(&keys, Terms::default(), now).map_err(told)?;
            checked(context, &signing.folder)
        }
        RepoVerb::Check { folder } => checked(context, folder),
        RepoVerb::Serve { folder, listen } => serving(folder, listen),
    }
}

/// Adds an image that was found good.
pub(super) fn add(
    repository: &mut Repository,
    image: &Path,
    keys: &Keys,
    (waves, least_safe): (Vec<WavePoint>, Option<String>),
    now: u64,
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
    repository.add(image, keys, Terms::default(), now).map_err(told)
}

fn stretch(image: &Path, range: &Range<u64>) -> Result<impl Read, CliError> {
    let opened = File::open(image).and_then(|mut file| file.seek(SeekFrom::Start(range.start)).map(|_| file));
    let file = opened.map_err(|error| CliError::Usage(format!("`{}` cannot be read: {error}", image.display())))?;
    Ok(file.take(range.end - range.start))
}

fn keys(signing: &Signing, roles: &[Role]) -> Result<Keys, CliError> {
    Keys::read(&signing.keys, roles).map_err(|error| match error {
        KeyError::Read { .. } | KeyError::NoKey { .. } | KeyError::There { .. } => CliError::usage(&error),
        KeyError::Write { .. } | KeyError::Random => CliError::Machine(error.into()),
    })
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

/// Checks a repository and says what is in it.
fn checked(context: &Context, folder: &Path) -> Result<ExitCode, CliError> {
    let found = Repository::check(folder, now()).map_err(told)?;
    if context.is_json() {
        let role = |(role, (version, expires)): (&str, (u64, String))| json::RepositoryRole {
            role: role.to_owned(),
            version,
            expires,
        };
        print_json(&Object::Repository(json::Repository {
            roles: found.roles.into_iter().map(role).collect(),
            max_version: found.max_version,
            images: found.images,
            bytes: found.bytes,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    for (role, (version, expires)) in &found.roles {
        print(&format!("{role:<10} version {version:<4} until {expires}"));
    }
    print(&format!("offers {}, {}", counted(found.images.len(), "image"), bytes(found.bytes)));
    for image in &found.images {
        let end = found.waves.iter().find(|(name, _)| image.starts_with(&format!("{name} ")));
        let waves = end.map_or_else(String::new, |(_, at)| format!(", in waves until {}", date_text(*at)));
        print(&format!("  {image}{waves}"));
    }
    if let Some(most) = &found.max_version {
        print(&format!("no machine goes beyond {most}"));
    }
    Ok(ExitCode::SUCCESS)
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

pub(super) fn told(error: RepositoryError) -> CliError {
    match error {
        RepositoryError::None { .. }
        | RepositoryError::There { .. }
        | RepositoryError::NoKey { .. }
        | RepositoryError::OtherKey { .. } => CliError::usage(&error),
        RepositoryError::Waves(_) => CliError::Usage(format!("`--wave`: {error}")),
        RepositoryError::Write { .. } | RepositoryError::Encode(_) | RepositoryError::Form { .. } => {
            CliError::Machine(error.into())
        }
        RepositoryError::Metadata(_)
        | RepositoryError::NotListed { .. }
        | RepositoryError::NoOffers { .. }
        | RepositoryError::Target { .. }
        | RepositoryError::Read { .. }
        | RepositoryError::Json { .. } => CliError::Outside(error.into()),
    }
}
