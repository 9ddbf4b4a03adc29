//! A status as people and programs read it.

use std::fmt::Write as _;

use brc_contract::{Standing, error_chain, well_known};
use serde_json::{Value, json};

use crate::{
    status::{Data, Known, Status, Unknown},
    verity::{OnCorruption, Root, Verity},
};

/// The version of the JSON object, its member `status_version`.
const STATUS_VERSION: u32 = 1;

/// A status in lines of a name and a value.
pub fn text(status: &Status) -> String {
    let entry = status.entry.as_ref().map(|entry| match &status.standing {
        Ok(Standing::Good) => format!("{entry}, good"),
        Ok(Standing::OnTrial(tries)) => format!("{entry}, on trial: tries left {}, done {}", tries.left, tries.done),
        Ok(Standing::Bad) => format!("{entry}, bad"),
        Err(unknown) => format!("{entry}, its counter is not known: {}", error_chain(unknown)),
    });
    let root = status.root.as_ref().map(|root| match root {
        Root::Verified(Verity { root_hash, .. }) => format!("verified, root hash {root_hash}"),
        Root::Corrupted(Verity { root_hash, .. }) => {
            format!("CORRUPTED: a block is not what root hash {root_hash} says")
        }
        Root::Unverified(reason) => format!("NOT VERIFIED: {reason}"),
    });
    let data = status.data.as_ref().map(|data| match data {
        Data::Mounted { device, file_system } => format!("{device}, {file_system}, on {}", well_known::DATA_MOUNT),
        Data::NotMounted => format!("NOT MOUNTED on {}", well_known::DATA_MOUNT),
    });
    let mut lines = String::new();
    for (name, value) in [
        ("variant", status.variant.as_ref().cloned()),
        ("version", status.version.as_ref().cloned()),
        ("architecture", status.architecture.as_ref().map(|architecture| architecture.name().to_owned())),
        ("kernel", status.kernel.as_ref().cloned()),
        ("machine id", status.machine_id.as_ref().cloned()),
        ("slot", status.slot.as_ref().map(|slot| slot.name().to_owned())),
        ("entry", entry),
        ("root", root),
        ("data", data),
        ("last failure", status.last_failure.as_ref().map(|told| told.clone().unwrap_or_else(|| "none".to_owned()))),
    ] {
        let value = value.unwrap_or_else(|unknown| format!("not known: {}", error_chain(unknown)));
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{name:<13} {}", harmless(&value));
    }
    lines
}

/// A status as one JSON object: what is not known is `null`, and `missing` says why.
pub fn json(status: &Status) -> Value {
    let mut missing = Vec::new();
    let mut object = json!({"status_version": STATUS_VERSION});
    let mut put = |what: &str, value: Result<Value, &Unknown>| {
        let value = value.unwrap_or_else(|unknown| {
            missing.push(json!({"what": what, "reason": error_chain(unknown)}));
            Value::Null
        });
        match what.split_once('.') {
            Some((outer, inner)) => object[outer][inner] = value,
            None => object[what] = value,
        }
    };
    put("variant", value(&status.variant));
    put("version", value(&status.version));
    put("architecture", status.architecture.as_ref().map(|architecture| json!(architecture.name())));
    put("kernel", value(&status.kernel));
    put("machine_id", value(&status.machine_id));
    put("slot", status.slot.as_ref().map(|slot| json!(slot.name())));
    put("entry", status.entry.as_ref().map(|entry| json!({"name": entry.to_string()})));
    if status.entry.is_ok() {
        let state = |standing: &Standing| match standing {
            Standing::Good => "good",
            Standing::OnTrial(_) => "on-trial",
            Standing::Bad => "bad",
        };
        put("entry.state", status.standing.as_ref().map(|standing| json!(state(standing))));
        let tries = match &status.standing {
            Ok(Standing::OnTrial(tries)) => json!({"left": tries.left, "done": tries.done}),
            _ => Value::Null,
        };
        put("entry.tries", Ok(tries));
    }
    put("root", status.root.as_ref().map(root));
    put("data", status.data.as_ref().map(data));
    put("last_failure", status.last_failure.as_ref().map(|told| json!(told)));
    object["missing"] = Value::Array(missing);
    object
}

fn value(known: &Known<String>) -> Result<Value, &Unknown> {
    known.as_ref().map(|text| json!(text))
}

fn root(root: &Root) -> Value {
    let mapped = |state: &str, verity: &Verity| {
        let on_corruption = match verity.on_corruption {
            OnCorruption::Error => "error",
            OnCorruption::Restart => "restart",
            OnCorruption::Panic => "panic",
        };
        json!({"state": state, "root_hash": verity.root_hash, "on_corruption": on_corruption})
    };
    match root {
        Root::Verified(verity) => mapped("verified", verity),
        Root::Corrupted(verity) => mapped("corrupted", verity),
        Root::Unverified(reason) => json!({"state": "unverified", "reason": reason}),
    }
}

fn data(data: &Data) -> Value {
    match data {
        Data::Mounted { device, file_system } => {
            json!({"mounted": true, "device": device, "file_system": file_system})
        }
        Data::NotMounted => json!({"mounted": false}),
    }
}

/// A text in which nothing steers a terminal.
fn harmless(text: &str) -> String {
    let escape = |character: char| {
        if character.is_control() { character.escape_debug().to_string() } else { character.to_string() }
    };
    text.chars().map(escape).collect()
}
