//! `brc-agent`: the program that runs on machines made by brc. Talks; the library does.

#![expect(clippy::print_stderr, reason = "the program talks to people")]

mod verb;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    time::Duration,
};

use brc_agent::{api::UpdateStep, first};
use brc_contract::well_known;
use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt as _,
};
use verb::{CANNOT, Said, USAGE, health, settings};

const HELP: &str = "\
Looks after a machine that runs an image of brc.

Usage: brc-agent status [--json]
       brc-agent settings get [KEY]
       brc-agent settings set KEY=VALUE...
       brc-agent settings apply FILE
       brc-agent settings load
       brc-agent settings user-data [--wait SECONDS]
       brc-agent health [--within SECONDS] unit NAME | http URL | command [--] PROGRAM [WORD...]
       brc-agent update refresh | prepare | activate | deactivate
       brc-agent api
       brc-agent exec-door

  status            what runs, from which slot, and whether it is verified
      --json        as one JSON object
  settings get      the settings that count, or those at KEY, as JSON
  settings set      changes some: `motd=hello`, `ntp.time-servers=[\"a.example\"]`
  settings apply    changes those of FILE, TOML or JSON with a table `settings`; `-` is standard input
  settings load     takes those at hand, and makes the files that follow; once at each start
  settings user-data
                    asks the platform for its user data, when it is one that can be asked and was not asked before
      --wait        so many seconds for what is not there yet (default 90)
  health            tries until a unit is active, a URL answers with 2xx, or a program ends well
      --within      so many seconds (default 60)
  update            takes a step of an update, for operators of fleets; people use `brc-update`
  api               answers one request of HTTP on standard input, a socket: systemd starts it for each
  exec-door         opens the door through which `brc exec`, `brc logs` and `brc cp` of who started this virtual machine
                    look inside; without the credential `brc.door` it stays closed

  -h, --help        this text
  -V, --version     the version of this program

Exit codes of status: 0 the root is verified, 1 it is not, 3 that could not be told (only root is told).
Exit codes of settings: 0 all of them count, 1 some do not, or KEY is not set, 3 the machine cannot.
Exit codes of health: 0 it is so, 1 it was not in time.
Exit codes of update: those of `brc-update`.
Exit code of exec-door: 3 the door stays closed.
Exit code 2: the command line, or what was to be changed, is wrong; nothing was changed.
";

const VERBS: &str = "`status`, `settings`, `health`, `update`, `api` or `exec-door`";

const STEPS: &str = "`refresh`, `prepare`, `activate` or `deactivate`";

/// What the command line asks for.
enum Order {
    Status { is_json: bool },
    Settings(settings::Order),
    Health(health::Check, Duration),
    Update(UpdateStep),
    Api,
    ExecDoor,
    Help,
    Version,
}

#[expect(clippy::disallowed_methods, reason = "the program reads its own command line")]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let own_name = arguments.next().unwrap_or_default();
    if own_name.to_str().is_some_and(|name| name.trim_start_matches('/') == well_known::FIRST_PROGRAM) {
        return go_on(arguments.collect());
    }
    let Said { text, told, code } = match order(lexopt::Parser::from_args(arguments)) {
        Ok(order) => obey(&order),
        Err(error) => {
            eprintln!("error: {error}; see `brc-agent --help`");
            return USAGE.into();
        }
    };
    told.iter().for_each(|line| eprintln!("{line}"));
    if let Err(error) = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        eprintln!("error: standard output cannot be written: {error}");
        return CANNOT.into();
    }
    code.into()
}

fn obey(order: &Order) -> Said {
    match order {
        Order::Status { is_json } => verb::status::run(*is_json),
        Order::Settings(order) => settings::run(order),
        Order::Health(check, within) => health::run(check, *within),
        Order::Update(step) => verb::update::run(*step),
        Order::Api => verb::api::run(),
        Order::ExecDoor => verb::exec_door::run(),
        Order::Help => plain(HELP.to_owned()),
        Order::Version => plain(format!("brc-agent {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn plain(text: String) -> Said {
    Said { text, told: Vec::new(), code: 0 }
}

fn order(mut arguments: lexopt::Parser) -> Result<Order, lexopt::Error> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_json, mut wait, mut within) = (false, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Order::Help),
            Short('V') | Long("version") => return Ok(Order::Version),
            Long("json") => is_json = true,
            Long("wait") => wait = Some(arguments.value()?.parse()?),
            Long("within") => within = Some(arguments.value()?.parse()?),
            Value(value) => {
                words.push(value.string()?);
                // What follows is the program's own.
                if words == ["health", "command"] {
                    let rest = arguments.raw_args()?.map(|word| word.string()).collect::<Result<Vec<_>, _>>()?;
                    words.extend(rest.into_iter().skip_while(|word| word == "--"));
                }
            }
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ordered = match words.as_slice() {
        ["status"] => Order::Status { is_json },
        ["health", "unit", name] => Order::Health(health::Check::Unit((*name).to_owned()), within_seconds(within)),
        ["health", "http", url] => Order::Health(health::Check::Http((*url).to_owned()), within_seconds(within)),
        ["health", "command", first, more @ ..] => {
            let program = std::iter::once(first).chain(more).map(|word| (*word).to_owned()).collect();
            Order::Health(health::Check::Command(program), within_seconds(within))
        }
        ["health", ..] => return Err("expected `health` with `unit NAME`, `http URL` or `command PROGRAM`".into()),
        ["update", step] => match UpdateStep::ALL.into_iter().find(|one| one.name() == *step) {
            Some(step) => Order::Update(step),
            None => return Err(format!("`{step}` is no step of an update: expected {STEPS}").into()),
        },
        ["update", ..] => return Err(format!("expected `update` with {STEPS}").into()),
        ["api"] => Order::Api,
        ["exec-door"] => Order::ExecDoor,
        ["settings", "load"] => Order::Settings(settings::Order::Load),
        ["settings", "user-data"] => Order::Settings(settings::Order::UserData { wait: wait.unwrap_or(90) }),
        ["settings", "get"] => Order::Settings(settings::Order::Get { path: None }),
        ["settings", "get", path] => Order::Settings(settings::Order::Get { path: Some((*path).to_owned()) }),
        ["settings", "set", first, more @ ..] => {
            let assignments = std::iter::once(first).chain(more).map(|text| (*text).to_owned()).collect();
            Order::Settings(settings::Order::Set { assignments })
        }
        ["settings", "apply", file] => Order::Settings(settings::Order::Apply { file: (*file).to_owned() }),
        ["settings", ..] => return Err("expected `settings` with `get`, `set`, `apply`, `load` or `user-data`".into()),
        [] => return Err(format!("no verb: expected {VERBS}").into()),
        ["status" | "api" | "exec-door", more, ..] => return Err(format!("`{more}` is one word too many").into()),
        [verb, ..] => return Err(format!("`{verb}` is no verb: expected {VERBS}").into()),
    };
    match ordered {
        Order::Settings(_) if is_json => Err("`--json` is for `status`; settings are JSON always".into()),
        Order::ExecDoor | Order::Update(_) | Order::Api if is_json => Err("`--json` is for `status`".into()),
        Order::Settings(settings::Order::UserData { .. }) => Ok(ordered),
        _ if wait.is_some() => Err("`--wait` is for `settings user-data`".into()),
        Order::Health(..) => Ok(ordered),
        _ if within.is_some() => Err("`--within` is for `health`".into()),
        ordered => Ok(ordered),
    }
}

fn within_seconds(said: Option<u64>) -> Duration {
    Duration::from_secs(said.unwrap_or(60))
}

/// As the first program of the root: does what must come before systemd, and becomes it.
#[expect(clippy::disallowed_methods, reason = "it becomes the program that it starts")]
fn go_on(arguments: Vec<OsString>) -> ExitCode {
    for line in first::prepare() {
        // The kernel's log is the only place there is.
        let _ = first::alert(&line);
    }
    let error = Command::new(first::INIT).args(arguments).exec();
    let _ = first::alert(&format!("`{}` cannot be started: {error}", first::INIT));
    CANNOT.into()
}
