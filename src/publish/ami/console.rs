//! What a console says of a boot.

/// What begins or is in a line of a boot that went wrong: the kernel's words and systemd's.
const BAD: [&str; 8] = [
    "Kernel panic - not syncing",
    "VFS: Cannot open root device",
    "Failed to start ",
    "Failed to mount ",
    "Dependency failed for ",
    "Timed out waiting for device ",
    "You are in emergency mode",
    "Out of memory: Killed process",
];
/// What both is in a line of dm-verity that found a changed block.
const VERITY: (&str, &str) = ("device-mapper: verity: ", "corrupt");

/// How a boot went, as far as its console has said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is waited for has been said.
    Good,
    /// Something went wrong; its line.
    Bad(String),
    /// Nothing of both.
    Open,
}

impl Verdict {
    /// Reads the lines in their order: the first that says something counts, so what goes wrong after a good boot is
    /// another matter.
    pub fn of(text: &str, until: &str) -> Verdict {
        for line in text.lines() {
            let line = plain(line);
            if line.contains(until) {
                return Verdict::Good;
            }
            let is_corrupt = line.contains(VERITY.0) && line.contains(VERITY.1);
            if is_corrupt || BAD.iter().any(|words| line.contains(words)) {
                return Verdict::Bad(line.trim().to_owned());
            }
        }
        Verdict::Open
    }
}

/// A line without the sequences by which terminals are told colours (ECMA-48, CSI): systemd has some inside its sentences.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' if letters.as_str().starts_with('[') => {
                let _bracket = letters.next();
                letters.find(|letter| ('@'..='~').contains(letter));
            }
            _ if letter.is_control() => {}
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_how_a_boot_went_counts() {
        let good = "[  \u{1b}[0;32mOK\u{1b}[0m  ] Reached target \u{1b}[0;1;39mboot-complete.target\u{1b}[0m - Boot.\r";
        let failed = "[\u{1b}[0;1;31mFAILED\u{1b}[0m] Failed to start \u{1b}[0;1;39mkubelet.service\u{1b}[0m.\r";
        let start = "Linux version 6.12\ndevice-mapper: verity: sha256 using \"sha256-ni\"\n";
        let of = |lines: &[&str]| Verdict::of(&format!("{start}{}", lines.join("\n")), "target boot-complete.target");
        assert_eq!(of(&[]), Verdict::Open);
        assert_eq!(of(&[good]), Verdict::Good);
        assert_eq!(of(&[failed]), Verdict::Bad("[FAILED] Failed to start kubelet.service.".to_owned()));
        assert_eq!(of(&[good, failed]), Verdict::Good);
        assert!(matches!(of(&[failed, good]), Verdict::Bad(_)));
        assert!(matches!(of(&["device-mapper: verity: 254:2: data block 3 is corrupted"]), Verdict::Bad(_)));
        assert!(matches!(of(&["Kernel panic - not syncing: VFS"]), Verdict::Bad(_)));
        assert_eq!(of(&["\u{1b}[", "\u{1b}", "\u{1b}[0;1"]), Verdict::Open);
    }
}
