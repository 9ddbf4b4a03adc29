//! `brc-agent api`: answers one request on the connection that it was started with.

use std::{
    env::consts::ARCH,
    fs,
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use brc_agent::{
    Status,
    api::{Answer, Call, Ephemeral, Pending, Request, Selection, UpdateStep},
    updates::Progress,
};
use brc_contract::{error_chain, os_release, settings::Value, well_known};
use brc_linux::{Files, device_mapper};
use serde_json::json;

use super::{
    CANNOT, Said, USAGE,
    settings::{Changing, Failed, MAX_OS_RELEASE, Machine, systemctl},
};

/// So long a request may take to come, and an answer to be read.
const PATIENCE: Duration = Duration::from_secs(30);
/// What looks after disks that live no longer than this machine, where an image has it.
const EPHEMERAL: &str = "/usr/lib/brc/ephemeral-storage";
/// What runs a program in a container of the host, where an image has such containers.
const EXEC: &str = "/usr/lib/brc/host-containers/exec";
/// The most bytes that such a program says.
const MAX_SAID: u64 = 1 << 20;

/// Answers what standard input asks, which is a socket; what is said goes to the journal.
pub fn run() -> Said {
    let mut told = Vec::new();
    let code = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => serve(UnixStream::from(socket), &mut told),
        Err(error) => Err(error),
    };
    let code = code.map_or_else(
        |error| {
            told.push(format!("error: whoever asked is gone: {error}"));
            CANNOT
        },
        |()| 0,
    );
    Said { text: String::new(), told, code }
}

fn serve(mut socket: UnixStream, told: &mut Vec<String>) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let who = rustix::net::sockopt::socket_peercred(&socket).map(|who| (who.uid.as_raw(), who.pid.as_raw_nonzero()));
    let answer = match Request::read(&mut socket).and_then(|request| Ok((Call::of(&request)?, request))) {
        Ok((call, request)) => {
            if request.method != "GET"
                && let Ok((user, process)) = who
            {
                told.push(format!("user {user}, process {process}: {} {}", request.method, request.path));
            }
            match call {
                Call::Exec { container } => return exec(&container, socket),
                call => obey(call, told).unwrap_or_else(|refused| refused),
            }
        }
        Err(refused) => refused,
    };
    answer.write(&mut socket)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Answer {
    Answer::refused(500, error_chain(error))
}

fn refused(failed: Failed) -> Answer {
    Answer::refused(if failed.code == USAGE { 400 } else { 500 }, failed.message)
}

fn obey(call: Call, told: &mut Vec<String>) -> Result<Answer, Answer> {
    let files = Files::below("/");
    let pending = |name: &str| Pending::of(&files, name).map_err(|error| Answer::refused(400, error_chain(&error)));
    match call {
        Call::Show(selection) => show(&selection, &files, told),
        Call::Status => {
            let status = Status::of(&files, ARCH, &device_mapper::ask);
            Ok(Answer { status: 200, body: format!("{}\n", brc_agent::json(&status)).into_bytes() })
        }
        Call::Pending { name } => answered(&pending(&name)?.values),
        Call::AllPending => Ok(Answer::json(&json!(Pending::open(&files).map_err(|error| failed(&error))?))),
        Call::Propose { name, values } => {
            // One after the other, as with all that changes settings.
            let _machine = Machine::change(told).map_err(refused)?;
            let (path, bytes) =
                pending(&name)?.with(&files, values).map_err(|error| Answer::refused(400, error_chain(&error)))?;
            brc_agent::settings::Files::write(&mut Changing, &path, &bytes, 0o600)
                .map_err(|error| Answer::refused(500, format!("`{path}` cannot be written: {error}")))?;
            Ok(Answer::done())
        }
        Call::Commit { name } => {
            let mut machine = Machine::change(told).map_err(refused)?;
            let Pending { path, values } = pending(&name)?;
            if !values.is_none() {
                machine.set(values).map_err(refused)?;
                discard(&path)?;
            }
            Ok(Answer::done())
        }
        Call::Discard { name } => discard(&pending(&name)?.path).map(|()| Answer::done()),
        Call::Apply => {
            Machine::change(told).and_then(|mut machine| machine.apply()).map_err(refused).map(|_| Answer::done())
        }
        Call::Reboot => systemctl(&["--no-block", "reboot"]).map_err(refused).map(|()| Answer::done()),
        Call::Update(step) => begin(step),
        Call::UpdateStatus => {
            if let Some(step) = UpdateStep::ALL.into_iter().find(|step| is_running(*step)) {
                return Err(Answer::refused(423, format!("`{}` of an update goes on; ask again", step.name())));
            }
            let status = Progress::of(&files).and_then(|progress| progress.status(&files, ARCH));
            Ok(Answer::json(&status.map_err(|error| failed(&error))?))
        }
        Call::Ephemeral(asked) => ephemeral(&asked),
        Call::Exec { .. } => Err(Answer::refused(400, "a program is run on a connection of its own".to_owned())),
    }
}

fn discard(path: &str) -> Result<(), Answer> {
    brc_agent::settings::Files::remove(&mut Changing, path)
        .map_err(|error| Answer::refused(500, format!("`{path}` cannot be removed: {error}")))
}

fn answered(value: &Value) -> Result<Answer, Answer> {
    serde_json::to_value(value).map(|value| Answer::json(&value)).map_err(|error| failed(&error))
}

/// What counts, with what runs.
fn show(selection: &Selection, files: &Files, told: &mut Vec<String>) -> Result<Answer, Answer> {
    let settings = Machine::open(told).map_err(refused)?.values();
    let os = os(files)?;
    let model = Value::Table([("os".to_owned(), os.clone()), ("settings".to_owned(), settings.clone())].into());
    let picked = |keys: &[Vec<String>]| {
        keys.iter().fold(Value::none(), |all, key| match model.at(key.iter().map(String::as_str)) {
            Some(value) => all.overlaid(value.clone().nested(key.iter().map(String::as_str))),
            None => all,
        })
    };
    answered(&match selection {
        Selection::Os => os,
        Selection::Model { keys } if keys.is_empty() => model,
        Selection::Settings { keys } if keys.is_empty() => settings,
        Selection::Model { keys } => picked(keys),
        Selection::Settings { keys } => picked(keys).at(["settings"]).cloned().unwrap_or(Value::none()),
    })
}

/// What runs, in Bottlerocket's words.
fn os(files: &Files) -> Result<Value, Answer> {
    let text = files.text(&format!("/{}", well_known::OS_RELEASE), MAX_OS_RELEASE).map_err(|error| failed(&error))?;
    let text = |key: &str| Value::Text(os_release::value(&text, key).unwrap_or_default().to_owned());
    let (variant, version) = (text(os_release::IMAGE_ID), text(os_release::IMAGE_VERSION));
    let arch = Value::Text(ARCH.to_owned());
    let members =
        [("arch", arch), ("pretty_name", text("PRETTY_NAME")), ("variant_id", variant), ("version_id", version)];
    Ok(Value::Table(members.map(|(name, value)| (name.to_owned(), value)).into()))
}

fn unit(step: UpdateStep) -> String {
    format!("brc-update-step@{}.service", step.name())
}

fn is_running(step: UpdateStep) -> bool {
    systemctl(&["is-active", "--quiet", &unit(step)]).is_ok()
}

/// Begins a step; whoever asks looks at the status.
fn begin(step: UpdateStep) -> Result<Answer, Answer> {
    if !Path::new("/usr/bin/brc-update").exists() {
        let why = "this image takes no updates: its recipe does not include `brc/updates`";
        return Err(Answer::refused(404, why.to_owned()));
    }
    if let Some(step) = UpdateStep::ALL.into_iter().find(|step| is_running(*step)) {
        return Err(Answer::refused(423, format!("`{}` of an update goes on already", step.name())));
    }
    systemctl(&["start", &unit(step)]).map_err(refused).map(|()| Answer::done())
}

/// Has the image's own program look after disks that live no longer than this machine.
#[expect(clippy::disallowed_methods, reason = "what the machine can do is done by its own programs")]
fn ephemeral(asked: &Ephemeral) -> Result<Answer, Answer> {
    let words: Vec<&str> = match asked {
        Ephemeral::Disks => vec!["list-disks"],
        Ephemeral::Folders => vec!["list-dirs"],
        Ephemeral::Init { file_system, disks } => {
            let first = ["init", file_system.as_deref().unwrap_or_default()];
            first.into_iter().chain(disks.iter().map(String::as_str)).collect()
        }
        Ephemeral::Bind { folders } => std::iter::once("bind").chain(folders.iter().map(String::as_str)).collect(),
    };
    let started =
        Command::new(EPHEMERAL).args(&words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = "this image looks after no such disks: its recipe does not include `brc/ephemeral-storage`";
            return Err(Answer::refused(404, why.to_owned()));
        }
        Err(error) => return Err(Answer::refused(500, format!("`{EPHEMERAL}` cannot be started: {error}"))),
    };
    let mut said = [String::new(), String::new()];
    let outputs: [Option<Box<dyn io::Read>>; 2] =
        [child.stdout.take().map(|out| Box::new(out) as _), child.stderr.take().map(|out| Box::new(out) as _)];
    let read = outputs
        .into_iter()
        .flatten()
        .zip(&mut said)
        .try_for_each(|(output, text)| output.take(MAX_SAID).read_to_string(text).map(drop));
    let status = child.wait().and_then(|status| read.map(|()| status));
    let [out, errors] = said;
    match status {
        Err(error) => Err(Answer::refused(500, format!("`{EPHEMERAL}` does not end well: {error}"))),
        Ok(status) if !status.success() => Err(Answer::refused(500, errors.trim().to_owned())),
        Ok(_) if words[0].starts_with("list") => Ok(Answer::json(&json!(out.lines().collect::<Vec<_>>()))),
        Ok(_) => Ok(Answer::done()),
    }
}

/// Makes the connection one to a program in a container: from here on it speaks as the door of a virtual machine does, and
/// whatever it asks to run is run in the container.
fn exec(container: &str, mut socket: UnixStream) -> io::Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if container.is_empty() || !container.chars().all(is_plain) {
        let why = format!("`{}` is no name of a container", container.escape_debug());
        return Answer::refused(400, why).write(&mut socket);
    }
    if fs::metadata(EXEC).is_err() {
        let why = "this image has no containers of the host: its recipe does not include `brc/host-containers`";
        return Answer::refused(404, why.to_owned()).write(&mut socket);
    }
    io::Write::write_all(
        &mut socket,
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: brc-door\r\n\r\n",
    )?;
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)?;
    brc_agent::door::serve_program(socket.try_clone()?, socket, &[EXEC.to_owned(), container.to_owned()])
}
