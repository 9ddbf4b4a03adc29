//! What the lock wants to know of a package's inside: maintainer scripts, users, licence (deb(5), sysusers.d(5)).
//!
//! `fetch` unpacks packages; here nothing is unpacked, a few small files are read out of the stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use super::{
    document::{Contents, Identity, IdentityKind},
    license,
    user::{is_user_name, read_id},
};
use crate::content::{
    Compression, ar,
    tar_reader::{Kind, Limits, ReadError, read_tar},
};

/// The most members of a package's `ar` archive; there are three.
const MAX_MEMBERS: usize = 16;
/// The most bytes of one file that is looked into.
const MAX_FILE_BYTES: u64 = 4 << 20;

const SCRIPTS: [&str; 5] = ["config", "postinst", "postrm", "preinst", "prerm"];
const PASSWD_MASTER: &str = "usr/share/base-passwd/passwd.master";
const GROUP_MASTER: &str = "usr/share/base-passwd/group.master";

/// A package cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a package with {reason}")]
pub(super) struct ControlError {
    pub(super) reason: String,
}

fn wrong(reason: impl Into<String>) -> ControlError {
    ControlError { reason: reason.into() }
}

/// Looks into the bytes of the package called `name`.
pub(super) fn inspect(name: &str, bytes: &[u8]) -> Result<Contents, ControlError> {
    let copyright = format!("usr/share/doc/{name}/copyright");
    // The same limits as when it is unpacked: what is locked can be had.
    let limits = Limits::default();
    let control_limits = Limits { total_bytes: ar::MAX_CONTROL_BYTES, ..limits };
    let control = files(member(bytes, "control.tar")?, &control_limits, &|path| SCRIPTS.contains(&path))?;
    let data = files(member(bytes, "data.tar")?, &limits, &|path| {
        let sysusers = path.strip_prefix("usr/lib/sysusers.d/").is_some_and(|name| name.ends_with(".conf"));
        sysusers || path == copyright || path == PASSWD_MASTER || path == GROUP_MASTER
    })?;
    let mut identities = BTreeSet::new();
    for (path, text) in &data {
        match path.as_str() {
            PASSWD_MASTER => identities.extend(text.lines().filter_map(|line| master(line, IdentityKind::User))),
            GROUP_MASTER => identities.extend(text.lines().filter_map(|line| master(line, IdentityKind::Group))),
            path if path.ends_with(".conf") => text.lines().for_each(|line| identities.extend(sysuser(line))),
            _ => {}
        }
    }
    Ok(Contents {
        license: data.get(&copyright).map_or_else(|| license::UNKNOWN.to_owned(), |text| license::read(text)),
        scripts: control.into_keys().collect(),
        identities,
    })
}

/// The bytes and compression of a member such as `data.tar.xz`.
fn member<'a>(bytes: &'a [u8], stem: &str) -> Result<Box<dyn Read + 'a>, ControlError> {
    let broken = |error: ar::ArError| wrong(format!("an `ar` archive that cannot be read ({error})"));
    let mut rest = bytes;
    ar::read_magic(&mut rest).map_err(broken)?;
    for _ in 0..MAX_MEMBERS {
        let Some(member) = ar::read_member(&mut rest).map_err(broken)? else { break };
        let size = usize::try_from(member.size).unwrap_or(usize::MAX);
        let Some((content, after)) = rest.split_at_checked(size) else {
            return Err(wrong(format!("a `{}` that is longer than the package", member.name)));
        };
        if let Some(suffix) = member.name.strip_prefix(stem) {
            let unknown = || wrong(format!("a `{}`, a compression that is not read", member.name));
            let compression = Compression::of_suffix(suffix).ok_or_else(unknown)?;
            return compression.decoder(content).map_err(|error| wrong(format!("no decoder ({error})")));
        }
        rest = after;
        ar::skip_padding(&mut rest, &member).map_err(broken)?;
    }
    Err(wrong(format!("no `{stem}`")))
}

/// The plain files of a tar stream that `wanted` picks by path, as text. Bytes that are not UTF-8 are replaced: what
/// is looked for is ASCII.
fn files(
    stream: Box<dyn Read + '_>,
    limits: &Limits,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, ControlError> {
    let mut stream = stream.take(limits.total_bytes.saturating_add(1));
    let mut found = BTreeMap::new();
    let result = read_tar(&mut stream, limits, &mut |member, content| {
        let path = member.path.as_str();
        if member.kind != Kind::File || !wanted(path) {
            return Ok(());
        }
        if member.size > MAX_FILE_BYTES {
            return Err(wrong(format!("a `{path}` of {} bytes", member.size)));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(ReadError::from_reader)?;
        found.insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        Ok(())
    });
    if stream.limit() == 0 {
        return Err(wrong(format!("more than {} bytes in a tar archive, decompressed", limits.total_bytes)));
    }
    result.map(|()| found)
}

impl From<ReadError> for ControlError {
    fn from(error: ReadError) -> Self {
        let reason = match &error {
            ReadError::Read(source) => source.to_string(),
            error => error.to_string(),
        };
        wrong(format!("a tar archive that cannot be read: {reason}"))
    }
}

/// A line of base-passwd's `passwd.master` (`name:*:uid:gid:…`) or `group.master` (`name:*:gid:`).
fn master(line: &str, kind: IdentityKind) -> Option<Identity> {
    let mut fields = line.split(':');
    let (name, _, first) = (fields.next()?, fields.next()?, fields.next()?);
    let id = match kind {
        IdentityKind::Group => first.to_owned(),
        IdentityKind::User => format!("{first}:{}", fields.next()?),
    };
    identity(kind, name, &id)
}

/// A line of sysusers.d(5): `u name id …`, `g name id`, `m user group`. Others ask for no name.
fn sysuser(line: &str) -> Vec<Identity> {
    let mut words = line.split_ascii_whitespace().map(|word| word.trim_matches('"'));
    let kind = words.next().unwrap_or("").trim_end_matches('!');
    let name = words.next().unwrap_or("");
    let id = words.next().unwrap_or("-");
    let found = match kind {
        "u" => vec![identity(IdentityKind::User, name, id)],
        "g" => vec![identity(IdentityKind::Group, name, id)],
        // Whoever is made a member, and of what, is made when it is not there.
        "m" => vec![identity(IdentityKind::User, name, "-"), identity(IdentityKind::Group, id, "-")],
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

fn identity(kind: IdentityKind, name: &str, id: &str) -> Option<Identity> {
    // A number that is taken from a file on the disk (`/path`) is any number at compose time.
    let id = if id.starts_with('/') { "-" } else { id };
    (is_user_name(name) && read_id(id).is_some()).then(|| Identity { kind, name: name.to_owned(), id: id.to_owned() })
}
