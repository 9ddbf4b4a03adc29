//! `brc-agent status`.

use std::env::consts::ARCH;

use brc_agent::{Status, verity::Root};
use brc_linux::{Files, device_mapper};

use super::{CANNOT, NOT_SO, Said};

/// Says what runs.
pub fn run(is_json: bool) -> Said {
    let status = Status::of(&Files::below("/"), ARCH, &device_mapper::ask);
    let code = match &status.root {
        Ok(Root::Verified(_)) => 0,
        Ok(Root::Corrupted(_) | Root::Unverified(_)) => NOT_SO,
        Err(_) => CANNOT,
    };
    let text = if is_json { format!("{}\n", brc_agent::json(&status)) } else { brc_agent::text(&status) };
    Said { text, told: Vec::new(), code }
}
