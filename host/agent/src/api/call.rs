//! What can be asked.

use std::collections::BTreeMap;

use brc_contract::settings::Value;

use super::http::{Answer, Request};
use crate::settings::{assignment, key, parse};

/// Under this name is proposed and committed what names no transaction.
const DEFAULT: &str = "default";
/// What a connection becomes that runs a program in a container.
pub(super) const DOOR: &str = "brc-door";

/// Something that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// What counts.
    Show(Selection),
    /// What runs, as `brc-agent status --json` says it.
    Status,
    /// What is proposed.
    Pending { name: String },
    /// The names under which something is proposed.
    AllPending,
    /// Settings are proposed.
    Propose { name: String, values: Value },
    /// What is proposed counts from now on, and what follows from it is made.
    Commit { name: String },
    /// What is proposed is forgotten.
    Discard { name: String },
    /// What follows from settings is made anew.
    Apply,
    /// The machine starts again.
    Reboot,
    /// A step of an update.
    Update(UpdateStep),
    /// How far updates are.
    UpdateStatus,
    /// Disks that live no longer than this machine.
    Ephemeral(Ephemeral),
    /// A program in a container of the host.
    Exec { container: String },
}

/// What of what counts is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Settings at these keys below a member `settings`, or what runs below `os`; both when none is named.
    Model { keys: Vec<Vec<String>> },
    /// Settings at these keys; all when none is named.
    Settings { keys: Vec<Vec<String>> },
    /// What runs.
    Os,
}

/// A step of an update, as operators of fleets take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStep {
    /// The repository is asked.
    Refresh,
    /// The update is written to the slot that does not run.
    Prepare,
    /// The next start is of the update.
    Activate,
    /// The next start is of what runs.
    Deactivate,
}

impl UpdateStep {
    /// All of them.
    pub const ALL: [UpdateStep; 4] =
        [UpdateStep::Refresh, UpdateStep::Prepare, UpdateStep::Activate, UpdateStep::Deactivate];

    /// Its name on the command line and in the status.
    pub const fn name(self) -> &'static str {
        match self {
            UpdateStep::Refresh => "refresh",
            UpdateStep::Prepare => "prepare",
            UpdateStep::Activate => "activate",
            UpdateStep::Deactivate => "deactivate",
        }
    }
}

/// What is asked of disks that live no longer than this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ephemeral {
    /// Which there are.
    Disks,
    /// Which folders may lie on them.
    Folders,
    /// They become one file system.
    Init { file_system: Option<String>, disks: Vec<String> },
    /// These folders lie on it from now on; all that may when none is named.
    Bind { folders: Vec<String> },
}

impl Call {
    /// What a request asks.
    ///
    /// # Errors
    /// The answer to one that asks for nothing there is.
    pub fn of(request: &Request) -> Result<Self, Answer> {
        let name = || request.asked("tx").unwrap_or(DEFAULT).to_owned();
        let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        Ok(match (request.method.as_str(), segments.as_slice()) {
            ("GET", [""]) => Call::Show(Selection::Model { keys: keys(request) }),
            ("GET", ["settings"]) => Call::Show(Selection::Settings { keys: keys(request) }),
            ("GET", ["os"]) => Call::Show(Selection::Os),
            ("GET", ["status"]) => Call::Status,
            ("GET", ["tx"]) => Call::Pending { name: name() },
            ("GET", ["tx", "list"]) => Call::AllPending,
            ("DELETE", ["tx"]) => Call::Discard { name: name() },
            ("POST", ["tx", "commit" | "commit_and_apply"]) => Call::Commit { name: name() },
            ("POST", ["tx", "apply"]) => Call::Apply,
            ("PATCH", ["settings"]) => Call::Propose { name: name(), values: from_json(&request.body)? },
            ("PATCH", ["settings", "keypair"]) => Call::Propose { name: name(), values: pairs(&request.body)? },
            ("PATCH", ["settings", "document"]) => Call::Propose {
                name: name(),
                values: parse(&request.body).map_err(|error| wrong(&brc_contract::error_chain(&error)))?,
            },
            ("POST", ["actions", "reboot"]) => Call::Reboot,
            ("POST", ["actions", "refresh-updates"]) => Call::Update(UpdateStep::Refresh),
            ("POST", ["actions", "prepare-update"]) => Call::Update(UpdateStep::Prepare),
            ("POST", ["actions", "activate-update"]) => Call::Update(UpdateStep::Activate),
            ("POST", ["actions", "deactivate-update"]) => Call::Update(UpdateStep::Deactivate),
            ("GET", ["updates", "status"]) => Call::UpdateStatus,
            ("GET", ["actions", "ephemeral-storage", "list-disks"]) => Call::Ephemeral(Ephemeral::Disks),
            ("GET", ["actions", "ephemeral-storage", "list-dirs"]) => Call::Ephemeral(Ephemeral::Folders),
            ("POST", ["actions", "ephemeral-storage", verb @ ("init" | "bind")]) => {
                Call::Ephemeral(ephemeral(verb, &request.body)?)
            }
            ("GET", ["exec", container]) => match request.upgrade.as_deref() {
                Some(DOOR) => Call::Exec { container: (*container).to_owned() },
                _ => return Err(wrong(&format!("`/exec` is for who upgrades to `{DOOR}`, as `apiclient exec` does"))),
            },
            (method, _) => {
                let path = request.path.escape_debug();
                return Err(Answer::refused(404, format!("there is no `{} {path}`", method.escape_debug())));
            }
        })
    }
}

fn wrong(why: &str) -> Answer {
    Answer::refused(400, why.to_owned())
}

/// The keys that the query names, those of `prefix` too.
fn keys(request: &Request) -> Vec<Vec<String>> {
    let listed = request.asked("keys").unwrap_or_default().split(',');
    listed.chain(request.asked("prefix")).filter(|text| !text.is_empty()).map(named).collect()
}

/// The names of a key, the first of which says what it is of: `settings` or `os`.
fn named(text: &str) -> Vec<String> {
    match text.strip_prefix("os").filter(|rest| rest.is_empty() || rest.starts_with('.')) {
        Some(rest) => std::iter::once("os").chain(rest.split('.').skip(1)).map(str::to_owned).collect(),
        None => std::iter::once("settings".to_owned()).chain(key(text)).collect(),
    }
}

/// Settings as JSON, without the table around them; one that has it is understood too.
fn from_json(body: &[u8]) -> Result<Value, Answer> {
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&format!("the body is no JSON: {error}")))?;
    match value {
        Value::Table(mut values) if values.len() == 1 && values.contains_key("settings") => {
            Ok(values.remove("settings").unwrap_or(Value::none()))
        }
        Value::Table(values) => Ok(Value::Table(values)),
        other => Err(wrong(&format!("the body is {}: expected a table of settings", other.described()))),
    }
}

/// Settings by keys with dots, each with a text that is read as its kind wants.
fn pairs(body: &[u8]) -> Result<Value, Answer> {
    let pairs: BTreeMap<String, String> = serde_json::from_slice(body)
        .map_err(|error| wrong(&format!("the body is no table of keys and texts, as JSON: {error}")))?;
    pairs.iter().try_fold(Value::none(), |all, (key, text)| {
        let value = assignment(&format!("{key}={text}")).map_err(|error| wrong(&error.to_string()))?;
        Ok(all.overlaid(value))
    })
}

fn ephemeral(verb: &str, body: &[u8]) -> Result<Ephemeral, Answer> {
    let value: Value = match body.is_empty() {
        true => Value::none(),
        false => serde_json::from_slice(body).map_err(|error| wrong(&format!("the body is no JSON: {error}")))?,
    };
    let Value::Table(mut members) = value else { return Err(wrong("the body is no table")) };
    let texts = |value: Option<Value>, what: &str| match value {
        None => Ok(Vec::new()),
        Some(Value::List(values)) => values
            .into_iter()
            .map(|value| if let Value::Text(text) = value { Ok(text) } else { Err(value) })
            .collect::<Result<_, _>>()
            .map_err(|value| wrong(&format!("`{what}` has {}: expected texts", value.described()))),
        Some(other) => Err(wrong(&format!("`{what}` is {}: expected a list", other.described()))),
    };
    let asked = match verb {
        "init" => Ephemeral::Init {
            file_system: match members.remove("filesystem") {
                None => None,
                Some(Value::Text(text)) => Some(text),
                Some(other) => return Err(wrong(&format!("`filesystem` is {}: expected a text", other.described()))),
            },
            disks: texts(members.remove("disks"), "disks")?,
        },
        _ => Ephemeral::Bind { folders: texts(members.remove("targets"), "targets")? },
    };
    match members.keys().next() {
        Some(name) => Err(wrong(&format!("the body has `{}`, which nobody reads", name.escape_debug()))),
        None => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, target: &str, body: &str) -> Result<Call, (u16, String)> {
        let length = body.len();
        let upgrade = if target.starts_with("/exec/") { "Upgrade: brc-door\r\n" } else { "" };
        let text = format!("{method} {target} HTTP/1.1\r\n{upgrade}Content-Length: {length}\r\n\r\n{body}");
        let asked = Request::read(&mut text.as_bytes()).and_then(|request| Call::of(&request));
        asked.map_err(|answer| (answer.status, String::from_utf8(answer.body).unwrap()))
    }

    fn motd(text: &str) -> Value {
        Value::Text(text.to_owned()).nested(["motd"].into_iter())
    }

    #[test]
    fn every_call_is_understood() {
        let name = |name: &str| name.to_owned();
        let key = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (method, target, body, expected) in [
            ("GET", "/", "", Call::Show(Selection::Model { keys: vec![] })),
            ("GET", "/?prefix=settings.motd", "", Call::Show(Selection::Model { keys: vec![key("settings motd")] })),
            ("GET", "/?prefix=os", "", Call::Show(Selection::Model { keys: vec![key("os")] })),
            (
                "GET",
                "/settings?keys=settings.motd,ntp",
                "",
                Call::Show(Selection::Settings { keys: vec![key("settings motd"), key("settings ntp")] }),
            ),
            ("GET", "/os", "", Call::Show(Selection::Os)),
            ("GET", "/status", "", Call::Status),
            ("PATCH", "/settings", r#"{"motd": "a"}"#, Call::Propose { name: name("default"), values: motd("a") }),
            (
                "PATCH",
                "/settings?tx=mine",
                r#"{"settings": {"motd": "a"}}"#,
                Call::Propose { name: name("mine"), values: motd("a") },
            ),
            (
                "PATCH",
                "/settings/keypair",
                r#"{"settings.motd": "5"}"#,
                Call::Propose { name: name("default"), values: motd("5") },
            ),
            (
                "PATCH",
                "/settings/document",
                "[settings]\nmotd = 'a'\n",
                Call::Propose { name: name("default"), values: motd("a") },
            ),
            ("POST", "/tx/commit_and_apply?tx=a", "", Call::Commit { name: name("a") }),
            ("POST", "/tx/commit", "", Call::Commit { name: name("default") }),
            ("POST", "/tx/apply", "", Call::Apply),
            ("GET", "/tx/list", "", Call::AllPending),
            ("GET", "/tx", "", Call::Pending { name: name("default") }),
            ("DELETE", "/tx", "", Call::Discard { name: name("default") }),
            ("POST", "/actions/reboot", "", Call::Reboot),
            ("POST", "/actions/refresh-updates", "", Call::Update(UpdateStep::Refresh)),
            ("POST", "/actions/deactivate-update", "", Call::Update(UpdateStep::Deactivate)),
            ("GET", "/updates/status", "", Call::UpdateStatus),
            ("GET", "/actions/ephemeral-storage/list-disks", "", Call::Ephemeral(Ephemeral::Disks)),
            (
                "POST",
                "/actions/ephemeral-storage/init",
                r#"{"filesystem": "ext4", "disks": ["/dev/nvme1n1"]}"#,
                Call::Ephemeral(Ephemeral::Init { file_system: Some(name("ext4")), disks: vec![name("/dev/nvme1n1")] }),
            ),
            (
                "POST",
                "/actions/ephemeral-storage/init",
                "",
                Call::Ephemeral(Ephemeral::Init { file_system: None, disks: vec![] }),
            ),
            (
                "POST",
                "/actions/ephemeral-storage/bind",
                r#"{"targets": ["/var/lib/kubelet"]}"#,
                Call::Ephemeral(Ephemeral::Bind { folders: vec![name("/var/lib/kubelet")] }),
            ),
            ("GET", "/exec/admin", "", Call::Exec { container: name("admin") }),
        ] {
            assert_eq!(call(method, target, body), Ok(expected), "{method} {target}");
        }
    }

    #[test]
    fn what_asks_for_nothing_there_is_is_told() {
        for (method, target, body, status, why) in [
            ("GET", "/nothing", "", 404, "there is no `GET /nothing`"),
            ("PUT", "/settings", "", 404, "there is no `PUT /settings`"),
            ("PATCH", "/settings", "{", 400, "the body is no JSON"),
            ("PATCH", "/settings", "5", 400, "the body is the number 5: expected a table of settings"),
            ("PATCH", "/settings/keypair", r#"{"mtod": "a"}"#, 400, "there is no setting `mtod`"),
            ("PATCH", "/settings/keypair", r#"{"motd": 5}"#, 400, "the body is no table of keys and texts"),
            ("PATCH", "/settings/document", "#!/bin/sh\n", 400, "it begins with `#!`"),
            ("POST", "/actions/ephemeral-storage/init", r#"{"disks": "a"}"#, 400, "`disks` is the text `a`"),
            ("POST", "/actions/ephemeral-storage/bind", r#"{"dirs": []}"#, 400, "the body has `dirs`"),
        ] {
            let (found, told) = call(method, target, body).unwrap_err();
            assert!(found == status && told.starts_with(why), "{method} {target}: {found} {told}");
        }
    }
}
