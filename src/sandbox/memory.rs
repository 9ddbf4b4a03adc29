//! How much memory a build may take: as much as the control groups of this process allow (cgroups(7), version 2), which
//! those of a sandbox are too.

use std::{fs, path::Path};

/// Where control groups of version 2 are mounted.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The most memory that brc and all its builds together may take, in bytes; `None` when no control group limits it.
pub fn memory_limit() -> Option<u64> {
    least(Path::new(CONTROL_GROUPS), &fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The least limit of the control group that the line `0::PATH` names and of those above it.
fn least(mounted: &Path, groups: &str) -> Option<u64> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |group: &Path| fs::read_to_string(mounted.join(group).join("memory.max")).ok()?.trim().parse().ok();
    Path::new(path).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let mounted = tempfile::tempdir().unwrap();
        let group = |path: &str, limit: &str| {
            let folder = mounted.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("memory.max"), format!("{limit}\n")).unwrap();
        };
        group("user.slice", "8000");
        group("user.slice/terminal.scope", "max");
        group("system.slice", "max");
        for (groups, expected) in [
            ("3:cpu:/x\n0::/user.slice/terminal.scope\n", Some(8000)),
            ("0::/user.slice\n", Some(8000)),
            ("0::/system.slice\n", None),
            ("0::/\n", None),
            ("4:memory:/user.slice\n", None),
        ] {
            assert_eq!(least(mounted.path(), groups), expected, "{groups}");
        }
        group("user.slice/terminal.scope", "500");
        assert_eq!(least(mounted.path(), "0::/user.slice/terminal.scope\n"), Some(500));
    }
}
