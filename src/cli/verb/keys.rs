//! `brc keys`.

use std::{
    io::{Read as _, stdin},
    path::Path,
    process::ExitCode,
};

use super::repo::key_told;
use crate::{
    cli::{
        CliError,
        arguments::{Keys, KeysVerb},
        context::Context,
        json::{Event, Object, RepositoryKey},
        output::{print, print_bytes, print_event, print_json, prints_to_terminal, status},
    },
    publish::{self, Role, SigningKey, new_keys},
};

/// The most bytes that are signed: metadata are smaller.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;

/// Makes keys, says which there are, or signs with one.
pub fn run(context: &Context, arguments: &Keys) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        KeysVerb::New { folder, role, name } => new(context, folder, role, name.as_deref()),
        KeysVerb::Show { folder } => show(context, folder),
        KeysVerb::Sign { key } => sign(key),
    }
}

fn new(context: &Context, folder: &Path, roles: &[String], name: Option<&str>) -> Result<ExitCode, CliError> {
    let role = |name: &String| {
        let wrong = || format!("`--role {name}`: expected `root`, `targets`, `snapshot` or `timestamp`");
        Role::named(name).ok_or_else(|| CliError::Usage(wrong()))
    };
    let roles = roles.iter().map(role).collect::<Result<Vec<_>, _>>()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if let Some(name) = name.filter(|name| name.is_empty() || !name.bytes().all(is_plain)) {
        let shown = name.escape_debug();
        return Err(CliError::Usage(format!("`--name {shown}`: expected letters, digits, `.`, `_` and `-`")));
    }
    let roles = if roles.is_empty() { Role::ALL.to_vec() } else { roles };
    for file in new_keys(folder, &roles, name).map_err(key_told)? {
        let path = file.display().to_string();
        if context.is_json() { print_event(Event::Written { file: path }) } else { print(&path) }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, folder: &Path) -> Result<ExitCode, CliError> {
    let keys = publish::Keys::read(folder, &Role::ALL).map_err(key_told)?;
    for (role, key) in keys.all() {
        let file = key.file().display();
        if context.is_json() {
            print_json(&Object::RepositoryKey(RepositoryKey {
                role: role.name().to_owned(),
                key: key.identity(),
                file: file.to_string(),
                signs: key.can_sign(),
                command: key.command().map(<[String]>::to_vec),
            }));
            continue;
        }
        let how = match key.command() {
            Some(words) => format!("signs by `{}`", words.join(" ")),
            None if key.can_sign() => "signs".to_owned(),
            None => "signs elsewhere".to_owned(),
        };
        print(&format!("{:<10} {} {file}, {how}", role.name(), key.identity()));
    }
    Ok(ExitCode::SUCCESS)
}

fn sign(file: &Path) -> Result<ExitCode, CliError> {
    let key = SigningKey::read(file).map_err(key_told)?;
    if prints_to_terminal() {
        return Err(CliError::Usage("a signature is bytes and not text: lead standard output to a file".to_owned()));
    }
    let mut message = Vec::new();
    let read = stdin().lock().take(MAX_MESSAGE_BYTES + 1).read_to_end(&mut message);
    read.map_err(|error| CliError::Usage(format!("standard input cannot be read: {error}")))?;
    if message.len() as u64 > MAX_MESSAGE_BYTES {
        return Err(CliError::Usage(format!("standard input has more than {MAX_MESSAGE_BYTES} bytes")));
    }
    let signature = key.sign(&message).map_err(key_told)?;
    status(&format!("signed {} bytes with {}", message.len(), key.identity()));
    print_bytes(&signature);
    Ok(ExitCode::SUCCESS)
}
