//! Whether the root is verified: what device-mapper says, held against the kernel command line.

use brc_contract::command_line::{self, VerityTable};
use brc_linux::mapped_target::MappedTarget;

/// What the kernel does when a block of the root is not what it was when the image was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorruption {
    /// The read fails.
    Error,
    /// The machine restarts.
    Restart,
    /// The kernel panics.
    Panic,
}

/// How the root is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verity {
    /// The root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// What happens to a damaged block.
    pub on_corruption: OnCorruption,
}

/// Whether what the machine runs from is what was composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Every block is verified when it is read, and each one was right so far.
    Verified(Verity),
    /// A block was wrong.
    Corrupted(Verity),
    /// Nothing stands between the disk and what runs; why.
    Unverified(String),
}

/// Judges the device that `/` is on by its table and its status.
pub fn judge(line: &str, table: &[MappedTarget], status: &[MappedTarget]) -> Root {
    let unverified = |reason: &str| Root::Unverified(reason.to_owned());
    let ([target], [state]) = (table, status) else {
        return unverified("its device is not mapped by one target");
    };
    if target.kind != "verity" || state.kind != "verity" {
        return Root::Unverified(format!("its device is mapped by `{}`, not by `verity`", target.kind));
    }
    let Some(table) = VerityTable::of_target(target.sectors, &target.parameters).filter(|_| target.start == 0) else {
        return unverified("its dm-verity table is not one of brc");
    };
    let words = command_line::words(line);
    let Some(wanted) = command_line::value(&words, "dm-mod.create").and_then(VerityTable::parse) else {
        return unverified("the kernel command line names no root hash");
    };
    if (&wanted.root_hash, &wanted.salt, wanted.data_blocks) != (&table.root_hash, &table.salt, table.data_blocks) {
        return unverified("its dm-verity table is not the one of the kernel command line");
    }
    let has = |option: &str| table.options.iter().any(|found| found == option);
    if has("ignore_corruption") {
        return unverified("damaged blocks are only logged: `ignore_corruption`");
    }
    let on_corruption = match () {
        () if has("panic_on_corruption") => OnCorruption::Panic,
        () if has("restart_on_corruption") => OnCorruption::Restart,
        () => OnCorruption::Error,
    };
    let verity = Verity { root_hash: table.root_hash.clone(), on_corruption };
    // Newer kernels add a word about repaired blocks.
    match state.parameters.split(' ').next() {
        Some("V") => Root::Verified(verity),
        Some("C") => Root::Corrupted(verity),
        _ => Root::Unverified(format!("its dm-verity status is `{}`: expected `V` or `C`", state.parameters)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "1 254:3 254:2 4096 4096 10 1 sha256 ff 00 1 restart_on_corruption";
    const LINE: &str =
        "ro dm-mod.create=\"root,,,ro,0 80 verity 1 PARTUUID=a PARTUUID=b 4096 4096 10 1 sha256 ff 00 1 x\"";

    fn target(kind: &str, parameters: &str) -> MappedTarget {
        MappedTarget { start: 0, sectors: 80, kind: kind.to_owned(), parameters: parameters.to_owned() }
    }

    fn state(line: &str, table: &str, status: &str) -> &'static str {
        match judge(line, &[target("verity", table)], &[target("verity", status)]) {
            Root::Verified(_) => "verified",
            Root::Corrupted(_) => "corrupted",
            Root::Unverified(_) => "unverified",
        }
    }

    #[test]
    fn only_what_the_command_line_names_is_verified() {
        let other_hash = TABLE.replace("ff", "fe");
        let other_salt = TABLE.replace(" 00 ", " 01 ");
        let ignored = TABLE.replace("restart_on", "ignore");
        let other_line = LINE.replace("ff", "fe");
        for (line, table, status, expected) in [
            (LINE, TABLE, "V", "verified"),
            (LINE, TABLE, "V -", "verified"),
            (LINE, TABLE, "V 12", "verified"),
            (LINE, TABLE, "C", "corrupted"),
            (LINE, TABLE, "C 0", "corrupted"),
            (LINE, TABLE, "", "unverified"),
            (LINE, TABLE, "Verified", "unverified"),
            (LINE, &other_hash, "V", "unverified"),
            (LINE, &other_salt, "V", "unverified"),
            (LINE, &ignored, "V", "unverified"),
            (&other_line, TABLE, "V", "unverified"),
            ("ro", TABLE, "V", "unverified"),
            (LINE, "", "V", "unverified"),
            (LINE, "1 254:3", "V", "unverified"),
        ] {
            assert_eq!(state(line, table, status), expected, "{line}\n{table}\n{status}");
        }
    }

    #[test]
    fn anything_but_one_verity_target_is_unverified() {
        let (table, status) = (target("verity", TABLE), target("verity", "V"));
        let linear = target("linear", "254:3 0");
        let both = [table.clone(), linear.clone()];
        let reason = |table: &[MappedTarget], status: &[MappedTarget]| match judge(LINE, table, status) {
            Root::Unverified(reason) => reason,
            verified => panic!("{verified:?}"),
        };
        assert!(reason(&[linear], &[target("linear", "")]).contains("`linear`"));
        assert!(reason(&both, &both).contains("one target"));
        assert!(reason(&[], &[]).contains("one target"));
        let late = MappedTarget { start: 8, ..table };
        assert!(reason(&[late], &[status]).contains("not one of brc"));
    }

    #[test]
    fn what_happens_to_a_damaged_block_is_told() {
        for (options, expected) in [
            ("", OnCorruption::Error),
            (" 1 restart_on_corruption", OnCorruption::Restart),
            (" 1 panic_on_corruption", OnCorruption::Panic),
        ] {
            let table = TABLE.replace(" 1 restart_on_corruption", options);
            match judge(LINE, &[target("verity", &table)], &[target("verity", "V")]) {
                Root::Verified(verity) => assert_eq!(verity.on_corruption, expected, "{options}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
