//! `brc-update`: takes updates of the machine that it runs on. Talks; the library does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the program talks to people")]

use std::{env::consts::ARCH, process::ExitCode};

use brc_contract::{
    error_chain,
    gpt::Which,
    update::{Again, EspStep, Judgement, Part, Step},
};
use brc_update::{CheckError, Found, Machine, Mended, Renewed, Update, report};
use lexopt::Arg::{Long, Short, Value};
use serde_json::json;

const HELP: &str = "\
Takes updates of a machine that runs an image of brc.

Usage: brc-update check [--json]
       brc-update apply [--now]
       brc-update rollback
       brc-update mend
       brc-update judge [--healthy]
       brc-update loader
       brc-update report

  check          what is newer than what runs, how large it is, and when this machine's wave opens
      --json     as one JSON object
  apply          puts it into the slot that does not run; it is started by the next reboot
      --now      also before the wave opens, and a version that was given up here
  rollback       gives up what runs, or an update that was not started yet: what ran before is started from the next
                 reboot on, once it was found whole
  mend           brings both copies of the partition table to what counts, and removes what a cut update has left;
                 an update whose kernel image the loader could not read is given up
  judge          whether what runs may go on: 1 when it was not found healthy and another version starts
      --healthy  this start was found healthy
  loader         brings the boot loader of what runs onto the EFI system partition, when it is newer than the one there
  report         tells whoever settings name how the machine fares

  -h, --help     this text
  -V, --version  the version of this program

Exit codes: 0 done, or nothing to do; 1 the update is refused or broke off, or what runs may not go on; 2 the command line is wrong;
3 this machine cannot; 4 the repository is not there or not believed, or nobody takes the report; 5 what runs was not found healthy, and
nothing else starts.
";

/// The version of the JSON object.
const CHECK_VERSION: u32 = 1;
const VERBS: [&str; 7] = ["check", "apply", "rollback", "mend", "judge", "loader", "report"];
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const CANNOT: u8 = 3;
const OUTSIDE: u8 = 4;
/// What runs is not healthy, and nothing else starts.
const NOTHING_ELSE: u8 = 5;

/// What the command line asks for.
enum Order {
    Check { json: bool },
    Apply(Again),
    Rollback,
    Mend,
    Judge { is_healthy: bool },
    Loader,
    Report,
    Help,
    Version,
}

fn main() -> ExitCode {
    let done = match order(lexopt::Parser::from_env()) {
        Ok(Order::Check { json }) => Machine::here(ARCH).and_then(|machine| check(&machine, json)),
        Ok(Order::Apply(again)) => Machine::here(ARCH).and_then(|machine| apply(&machine, again)),
        Ok(Order::Rollback) => Machine::here(ARCH).and_then(|machine| machine.roll_back()).map(|version| {
            println!("{version} is started by the next reboot");
        }),
        Ok(Order::Mend) => Machine::here(ARCH).and_then(|machine| machine.mend()).map(|mended| told(&mended)),
        Ok(Order::Judge { is_healthy }) => match Machine::here(ARCH).and_then(|machine| machine.judge(is_healthy)) {
            Ok(judgement) => return judged(judgement),
            Err(error) => Err(error),
        },
        Ok(Order::Loader) => Machine::here(ARCH).and_then(|machine| machine.renew_loader()).map(|done| match done {
            Some(Renewed { from, to }) => println!("the loader {from} was replaced by {to}; it is kept beside it"),
            None => println!("the loader is as new as that of what runs"),
        }),
        Ok(Order::Report) => report().map(|url| match url {
            Some(url) => println!("told `{url}`"),
            None => println!("settings name nobody to tell"),
        }),
        Ok(Order::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Order::Version) => {
            println!("brc-update {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Err(error) => {
            eprintln!("error: {error}; see `brc-update --help`");
            return USAGE.into();
        }
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("error: {}", error_chain(&error));
    let code = match error {
        CheckError::Refused(_)
        | CheckError::Apply(_)
        | CheckError::Rollback(_)
        | CheckError::OtherDamaged(_)
        | CheckError::Busy => REFUSED,
        CheckError::Repository(_) | CheckError::Offer(_) | CheckError::Report(_) => OUTSIDE,
        CheckError::Machine(_)
        | CheckError::NoUpdates(_)
        | CheckError::Made { .. }
        | CheckError::Device(_)
        | CheckError::Table(_)
        | CheckError::Slots(_)
        | CheckError::Loader(_)
        | CheckError::Wishes(_)
        | CheckError::Tell { .. }
        | CheckError::Lock { .. } => CANNOT,
    };
    code.into()
}

fn order(mut arguments: lexopt::Parser) -> Result<Order, lexopt::Error> {
    let (mut verb, mut json, mut now, mut is_healthy) = (None, false, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Order::Help),
            Short('V') | Long("version") => return Ok(Order::Version),
            Long("json") if verb.as_deref() == Some("check") => json = true,
            Long("healthy") if verb.as_deref() == Some("judge") => is_healthy = true,
            Long("now") if verb.as_deref() == Some("apply") => now = true,
            Value(value) if verb.is_none() => {
                let value = value.to_string_lossy().into_owned();
                if !VERBS.contains(&value.as_str()) {
                    return Err(format!("`{value}` is no verb: expected {}", expected()).into());
                }
                verb = Some(value);
            }
            other => return Err(other.unexpected()),
        }
    }
    match verb.as_deref() {
        Some("check") => Ok(Order::Check { json }),
        Some("rollback") => Ok(Order::Rollback),
        Some("mend") => Ok(Order::Mend),
        Some("judge") => Ok(Order::Judge { is_healthy }),
        Some("loader") => Ok(Order::Loader),
        Some("report") => Ok(Order::Report),
        Some(_) => Ok(Order::Apply(if now { Again::Asked } else { Again::Never })),
        None => Err(format!("no verb: expected {}", expected()).into()),
    }
}

fn expected() -> String {
    format!("one of {}", VERBS.join(", "))
}

fn told(mended: &Mended) {
    match mended.copy {
        Some(Which::Primary) => println!("the primary partition table was bad: written anew from the backup"),
        Some(Which::Backup) => println!("the backup partition table was bad: written anew from the primary"),
        None => {}
    }
    for name in &mended.removed {
        println!("`{name}` was left over: removed");
    }
    if let Some(version) = &mended.unreadable {
        println!("{version} is given up: its kernel image is damaged, the loader passed it over");
    }
}

fn judged(judgement: Judgement) -> ExitCode {
    match judgement {
        Judgement::Good => println!("what runs was found healthy"),
        Judgement::GoOn => println!("what runs was found healthy once and is broken: settings say that it goes on"),
        Judgement::NothingElse => {
            println!("what runs was not found healthy, and nothing else starts");
            return NOTHING_ELSE.into();
        }
        Judgement::GiveUp => {
            println!("what runs was found healthy once and is broken: it is given up");
            return REFUSED.into();
        }
        Judgement::Restart { left } => {
            println!("what runs was not found healthy: the machine starts again, tries left {left}");
            return REFUSED.into();
        }
    }
    ExitCode::SUCCESS
}

fn check(machine: &Machine, json: bool) -> Result<(), CheckError> {
    let Found { running, update } = machine.check()?;
    if json {
        let update = update.map(|update| {
            let refused = update.slot.as_ref().err().map(|refusal| error_chain(refusal));
            json!({
                "version": update.version,
                "bytes": update.bytes,
                "wave_opens": update.opens,
                "is_open": update.is_open,
                "slot": update.slot.as_ref().ok().map(|slot| slot.name()),
                "refused": refused,
            })
        });
        println!("{}", json!({ "check_version": CHECK_VERSION, "running": running, "update": update }));
        return Ok(());
    }
    match update {
        None => println!("running: {running}\nupdate:  nothing is newer"),
        Some(Update { version, bytes, opens, is_open, slot }) => {
            println!("running: {running}\nupdate:  {version}, {bytes} bytes");
            match slot {
                Ok(slot) => println!("slot:    {}", slot.name()),
                Err(refusal) => println!("refused: {}", error_chain(&refusal)),
            }
            let state = if is_open { "open" } else { "opens later" };
            println!("wave:    {state} ({opens} seconds since 1970)");
        }
    }
    Ok(())
}

fn apply(machine: &Machine, again: Again) -> Result<(), CheckError> {
    let tell = |step: &Step| match step {
        Step::Fill(Part::Hash) => eprintln!("writing the hash tree"),
        Step::Fill(Part::Root) => eprintln!("writing the root"),
        Step::Check => eprintln!("reading both back"),
        Step::Esp(EspStep::Stage(_)) => eprintln!("writing the kernel image"),
        _ => {}
    };
    match machine.apply(again, &tell)? {
        Some(version) => println!("{version} is started by the next reboot"),
        None => println!("there is nothing to take now"),
    }
    Ok(())
}
