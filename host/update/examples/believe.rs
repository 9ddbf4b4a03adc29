//! Looks at a repository as a machine does that trusts a root and has seen nothing yet: `believe FOLDER ROOT`. Exit code 0
//! when it is believed and what it offers comes; else it says why not.

use std::{
    env,
    error::Error,
    fs,
    path::absolute,
    time::{SystemTime, UNIX_EPOCH},
};

use brc_contract::error_chain;
use brc_update::{Clock, Repository, Settings};

#[allow(clippy::disallowed_methods, reason = "a program to try things with, which no image has")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(folder), Some(root)) = (arguments.next(), arguments.next()) else {
        return Err("expected the folder of a repository, and a file with the root that is trusted".into());
    };
    let url = |part: &str| Ok::<_, Box<dyn Error>>(format!("file://{}/{part}", absolute(&folder)?.display()));
    let kept = tempfile::tempdir()?;
    let settings = Settings {
        metadata: url("metadata")?,
        targets: url("targets")?,
        root: fs::read(root)?,
        kept: kept.path().to_owned(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let opened = Repository::open(&settings, &Clock { now, floor: 0, is_agreed: false });
    opened.and_then(|repository| repository.offers()).map_err(|error| error_chain(&error))?;
    Ok(())
}
