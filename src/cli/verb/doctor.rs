//! `brc doctor`: what this machine lacks, and the knob that gives it that.

use std::{path::Path, process::ExitCode};

use brc_contract::error_chain;

use crate::{
    cli::{
        CliError,
        context::{Context, OWN_PROGRAM},
        json::{self, Object},
        output::{print, print_json},
    },
    compose::ProjectPlace,
    content::{bytes, counted},
    sandbox,
};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Lacking,
    Note,
}

/// Looks at this machine and says what it lacks.
pub fn run(context: &Context) -> Result<ExitCode, CliError> {
    let findings =
        [sandbox_finding(context), landlock_finding(), memory_finding(), mirror_finding(context), kvm_finding()];
    for finding in &findings {
        let state = match finding.state {
            State::Good => "good",
            State::Lacking => "lacking",
            State::Note => "note",
        };
        if context.is_json() {
            print_json(&Object::Finding(json::Finding {
                what: finding.what.to_owned(),
                state: state.to_owned(),
                text: finding.text.clone(),
            }));
        } else {
            print(&format!("{state:<8} {:<10} {}", finding.what, finding.text));
        }
    }
    let lacking = findings.iter().any(|finding| finding.state == State::Lacking);
    Ok(if lacking { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn sandbox_finding(context: &Context) -> Finding {
    let probe = || -> Result<(), String> {
        let store = context.store().map_err(|error| error.message())?;
        sandbox::probe(&store, Path::new(OWN_PROGRAM)).map_err(|error| error_chain(&error))
    };
    match probe() {
        Ok(()) => Finding { what: "sandbox", state: State::Good, text: "a command runs in user namespaces".to_owned() },
        Err(text) => Finding { what: "sandbox", state: State::Lacking, text },
    }
}

fn landlock_finding() -> Finding {
    let (state, text) = if sandbox::linux::has_scopes() {
        (State::Good, "signals and abstract sockets of a command stay in its sandbox")
    } else {
        let text = "this kernel has no scopes of Landlock (Linux 6.12, `landlock` in `/sys/kernel/security/lsm`): name \
                    spaces alone keep signals and abstract sockets inside";
        (State::Note, text)
    };
    Finding { what: "landlock", state, text: text.to_owned() }
}

fn memory_finding() -> Finding {
    match sandbox::memory_limit() {
        Some(limit) => {
            let text = format!("all builds together may take {}, says a control group", bytes(limit));
            Finding { what: "memory", state: State::Good, text }
        }
        None => {
            let text = "nothing limits what builds take; when it runs out, the kernel ends a build first. `systemd-run \
                        --user --scope -p MemoryMax=8G brc …` sets a limit";
            Finding { what: "memory", state: State::Note, text: text.to_owned() }
        }
    }
}

/// Which mirrors the project of this folder would use.
fn mirror_finding(context: &Context) -> Finding {
    let here = Path::new(".").canonicalize();
    let root = here.as_deref().ok().and_then(ProjectPlace::root_above);
    match context.mirrors(root, None) {
        Ok(mirrors) if !mirrors.bases("debian").is_empty() => {
            let text = format!("`debian` is served by {}", counted(mirrors.bases("debian").len(), "place"));
            Finding { what: "mirror", state: State::Good, text }
        }
        Ok(_) => {
            let text = "no mirror is known for `debian`: give `--mirror debian=URL` or set `BRC_MIRROR_DEBIAN=URL`";
            Finding { what: "mirror", state: State::Lacking, text: text.to_owned() }
        }
        Err(error) => Finding { what: "mirror", state: State::Lacking, text: error.message() },
    }
}

fn kvm_finding() -> Finding {
    let text = match std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => "`/dev/kvm` can be opened; `brc boot` uses it once a small machine really booted with it",
        Err(_) => "no `/dev/kvm` that this user may open: `brc boot` emulates, which is slower",
    };
    Finding { what: "kvm", state: State::Note, text: text.to_owned() }
}
