//! `apiclient`: asks the machine that it runs on, from a container too. The words are those of Bottlerocket's program of
//! that name, so that what calls that one calls this one.

#![expect(clippy::print_stderr, reason = "the program talks to people")]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use brc_apiclient::{AskError, Asked, Order, Outputs, ask, read, run, upgrade};
use brc_contract::error_chain;
use serde_json::{Value, json};

const HELP: &str = "\
Asks the machine that it runs on.

Usage: apiclient [--socket-path PATH] get [KEY...]
       apiclient set KEY=VALUE... | --json JSON
       apiclient apply [FILE...]
       apiclient update check | apply [--check] [--reboot] | cancel
       apiclient reboot
       apiclient exec CONTAINER PROGRAM [WORD...]
       apiclient ephemeral-storage init [-t FILESYSTEM] [--disks DISK...]
       apiclient ephemeral-storage bind [--dirs FOLDER...]
       apiclient ephemeral-storage list-disks | list-dirs
       apiclient raw --uri URI [--method METHOD] [--data TEXT]

  get                 settings and what runs, as JSON: all, or those at KEY (`settings.motd`, `os`)
  set                 changes settings: `motd=hello`, `kernel.sysctl.\"net.core.somaxconn\"=1024`
  apply               changes those of files, TOML or JSON with a table `settings`; `-`, `file:///…` or `base64:…` too
  update              asks for an update, writes it and starts it, or gives up one that was written
  reboot              starts the machine again
  exec                runs a program in a container of the host: `admin`, `control`
  ephemeral-storage   makes one file system of disks that live no longer than the machine, and puts folders on it
  raw                 one call of the API
      --socket-path   where the machine listens (default /run/api.sock)

  -h, --help          this text
  -V, --version       the version of this program

Exit codes: 0 done, 1 refused, or there is no update, 2 the command line is wrong, 3 the machine does not answer; of `exec` that of
the program.
";

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const AWAY: u8 = 3;
/// Under this name settings are proposed, so that nobody else's are committed with them.
const TRANSACTION: &str = "apiclient";
/// The most bytes of a document.
const MAX_DOCUMENT: u64 = 1 << 20;
/// Between two looks at a step of an update.
const PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let asked = match read(lexopt::Parser::from_env()) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("error: {error}; see `apiclient --help`");
            return USAGE.into();
        }
    };
    match obey(asked) {
        Ok((text, code)) => match io::stdout().write_all(&text).and_then(|()| io::stdout().flush()) {
            Ok(()) => code.into(),
            Err(error) => {
                eprintln!("error: standard output cannot be written: {error}");
                AWAY.into()
            }
        },
        Err(failed) => {
            eprintln!("error: {}", failed.message);
            failed.code.into()
        }
    }
}

/// Something is not done.
struct Failed {
    message: String,
    code: u8,
}

impl From<AskError> for Failed {
    fn from(error: AskError) -> Self {
        let code = if matches!(error, AskError::Refused { .. }) { REFUSED } else { AWAY };
        Failed { message: error_chain(&error), code }
    }
}

fn wrong(message: String) -> Failed {
    Failed { message, code: USAGE }
}

/// What comes out, and the exit code.
type Done = (Vec<u8>, u8);

fn obey(Asked { socket, order }: Asked) -> Result<Done, Failed> {
    let ask = |method: &str, uri: &str, body: &[u8]| ask(&socket, method, uri, body);
    let done = |_: Vec<u8>| (Vec::new(), 0);
    match order {
        Order::Get { keys } => {
            let joined = keys.iter().map(|key| escaped(key)).collect::<Vec<_>>().join(",");
            let uri = if keys.is_empty() { "/".to_owned() } else { format!("/?keys={joined}") };
            Ok((pretty(&ask("GET", &uri, b"")?), 0))
        }
        Order::Set { pairs, json } => {
            let (uri, body) = match json {
                Some(json) => ("/settings", json),
                None => ("/settings/keypair", json!(pairs.into_iter().collect::<BTreeMap<_, _>>()).to_string()),
            };
            change(&socket, &[(uri, body.into_bytes())])
        }
        Order::Apply { places } => {
            let places = if places.is_empty() { vec!["-".to_owned()] } else { places };
            let documents = places.iter().map(|place| Ok(("/settings/document", document(place)?)));
            change(&socket, &documents.collect::<Result<Vec<_>, Failed>>()?)
        }
        Order::UpdateCheck => {
            let status = step(&socket, "refresh-updates")?;
            let code = if status["chosen_update"].is_null() { REFUSED } else { 0 };
            Ok((pretty(status.to_string().as_bytes()), code))
        }
        Order::UpdateApply { checks, reboots } => apply_update(&socket, checks, reboots),
        Order::UpdateCancel => step(&socket, "deactivate-update").map(|_| (Vec::new(), 0)),
        Order::Reboot => Ok(done(ask("POST", "/actions/reboot", b"")?)),
        Order::Exec { container, words } => {
            let stream = upgrade(&socket, &format!("/exec/{}", escaped(&container)), "brc-door")?;
            let to = Outputs { output: &mut io::stdout(), errors: &mut io::stderr() };
            let ended = run(stream, words, io::stdin(), to);
            ended.map(|code| (Vec::new(), code)).map_err(|error| Failed { message: error.to_string(), code: AWAY })
        }
        Order::Init { file_system, disks } => {
            let mut asked = json!({ "disks": disks });
            if let Some(file_system) = file_system {
                asked["filesystem"] = json!(file_system);
            }
            Ok(done(ask("POST", "/actions/ephemeral-storage/init", asked.to_string().as_bytes())?))
        }
        Order::Bind { folders } => {
            let asked = json!({ "targets": folders }).to_string();
            Ok(done(ask("POST", "/actions/ephemeral-storage/bind", asked.as_bytes())?))
        }
        Order::List { what } => Ok((pretty(&ask("GET", &format!("/actions/ephemeral-storage/{what}"), b"")?), 0)),
        Order::Raw { uri, method, data } => Ok((ask(&method, &uri, data.unwrap_or_default().as_bytes())?, 0)),
        Order::Help => Ok((HELP.into(), 0)),
        Order::Version => Ok((format!("apiclient {}\n", env!("CARGO_PKG_VERSION")).into(), 0)),
    }
}

/// Proposes settings, and commits them; when one is refused none counts.
fn change(socket: &str, proposed: &[(&str, Vec<u8>)]) -> Result<Done, Failed> {
    let discard = || ask(socket, "DELETE", &format!("/tx?tx={TRANSACTION}"), b"");
    discard()?;
    let propose =
        |(uri, body): &(&str, Vec<u8>)| ask(socket, "PATCH", &format!("{uri}?tx={TRANSACTION}"), body).map(drop);
    let commit = || ask(socket, "POST", &format!("/tx/commit_and_apply?tx={TRANSACTION}"), b"");
    match proposed.iter().try_for_each(propose).and_then(|()| commit()) {
        Ok(_) => Ok((Vec::new(), 0)),
        Err(error) => {
            // What was refused stays nowhere; the first reason is the one to tell.
            discard().map(drop).unwrap_or_default();
            Err(error.into())
        }
    }
}

/// Takes a step of an update to its end; the status behind it.
fn step(socket: &str, action: &str) -> Result<Value, Failed> {
    ask(socket, "POST", &format!("/actions/{action}"), b"")?;
    let status = loop {
        match ask(socket, "GET", "/updates/status", b"") {
            Err(AskError::Refused { status: 423, .. }) => pause(),
            answer => break answer?,
        }
    };
    let status: Value = serde_json::from_slice(&status)
        .map_err(|error| Failed { message: format!("the status of updates is no JSON: {error}"), code: AWAY })?;
    let last = &status["most_recent_command"];
    if last["cmd_status"] == "Success" {
        return Ok(status);
    }
    let said = last["stderr"].as_str().unwrap_or_default().trim().trim_start_matches("error: ");
    Err(Failed { message: format!("`{action}` failed: {said}"), code: REFUSED })
}

#[expect(clippy::disallowed_methods, reason = "a step of an update says nothing when it is over")]
fn pause() {
    thread::sleep(PAUSE);
}

fn apply_update(socket: &str, checks: bool, reboots: bool) -> Result<Done, Failed> {
    if checks {
        let status = step(socket, "refresh-updates")?;
        if status["chosen_update"].is_null() {
            return Err(Failed { message: "there is no update to take now".to_owned(), code: REFUSED });
        }
    }
    let status = step(socket, "prepare-update")?;
    if !matches!(status["update_state"].as_str(), Some("Staged" | "Ready")) {
        return Err(Failed { message: "there is no update to take now".to_owned(), code: REFUSED });
    }
    step(socket, "activate-update")?;
    if reboots {
        ask(socket, "POST", "/actions/reboot", b"")?;
    }
    Ok((Vec::new(), 0))
}

/// A document, from where it is said to be.
fn document(place: &str) -> Result<Vec<u8>, Failed> {
    // The machine reads base64 by itself.
    if let Some(packed) = place.strip_prefix("base64:") {
        return Ok(packed.as_bytes().to_vec());
    }
    let path = place.strip_prefix("file://").unwrap_or(place);
    if let Some((scheme, _)) = path.split_once("://") {
        return Err(wrong(format!(
            "`{place}`: nothing is fetched by `{scheme}`: fetch it, and give it as `-` or a file"
        )));
    }
    let mut bytes = Vec::new();
    let read = match path {
        "-" => io::stdin().take(MAX_DOCUMENT + 1).read_to_end(&mut bytes),
        path => fs::File::open(path).and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| wrong(format!("`{place}` cannot be read: {error}")))?;
    match bytes.len() as u64 > MAX_DOCUMENT {
        true => Err(wrong(format!("`{place}` has more than {MAX_DOCUMENT} bytes"))),
        false => Ok(bytes),
    }
}

/// A text with escapes for a query (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// JSON for people; what is none as it is.
fn pretty(bytes: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(bytes).and_then(|value| serde_json::to_string_pretty(&value)) {
        Ok(text) => format!("{text}\n").into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}
