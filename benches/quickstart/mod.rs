//! The quickstart's project and what the user's store remembers of it; shared by the benchmarks that compose.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A copy of the quickstart's project, so that its lock is not written.
pub fn recipe(folder: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = repository.join("examples/quickstart");
    for name in ["brc.kdl", "brc.lock", "quickstart.kdl"] {
        let text = fs::read_to_string(example.join(name)).expect("the example");
        let import = format!("path {:?}", repository.display().to_string());
        fs::write(folder.join(name), text.replace("path \"../..\"", &import)).expect("a file");
    }
    folder.join("quickstart.kdl")
}

/// The events of a command of brc's that must end well.
pub fn events(brc: &mut Command) -> Vec<Value> {
    let printed = brc.arg("--json").output().expect("brc starts");
    assert!(printed.status.success(), "{brc:?}: {}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

/// Where the store remembers what the stages of a component gave.
pub fn memo(events: &[Value], component: &str, stages: &[&str]) -> Vec<PathBuf> {
    let store = env::var_os("BRC_STORE").map(PathBuf::from).or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("brc"))
    });
    let memo = store.expect("BRC_STORE or HOME is set").join("memo");
    let of_stages = |event: &Value| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (kind, stage, key) = (text("event"), text("stage"), text("key"));
        let is_one = ["reused", "finished"].contains(&kind.as_str()) && text("component") == component;
        (is_one && stages.contains(&stage.as_str())).then(|| memo.join(&key[..2]).join(key))
    };
    events.iter().filter_map(of_stages).collect()
}
