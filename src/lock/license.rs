//! Licences of a package, from its machine-readable copyright file (DEP-5, "copyright-format 1.0").

use std::collections::BTreeSet;

/// What is said when nothing is known (SPDX 2.3, section 7.13).
pub(super) const UNKNOWN: &str = "NOASSERTION";

/// Debian's short names that differ from SPDX's.
const NAMES: [(&str, &str); 36] = [
    ("agpl-3", "AGPL-3.0-only"),
    ("agpl-3+", "AGPL-3.0-or-later"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1.0", "BSL-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("expat", "MIT"),
    ("mit", "MIT"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-2.0+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("gpl-3.0+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("mpl-2.0", "MPL-2.0"),
    ("psf-2", "PSF-2.0"),
    ("python-2.0", "Python-2.0"),
    ("unlicense", "Unlicense"),
    ("x11", "X11"),
    ("zlib", "Zlib"),
];

/// Reads a copyright file: the licences of all its `Files` paragraphs, joined by `AND`.
///
/// A name that SPDX does not know becomes `LicenseRef-Debian-NAME`. A file that is not machine-readable, or names too
/// many licences to be of use, gives `NOASSERTION`.
pub(super) fn read(text: &str) -> String {
    if !text.lines().take(5).any(|line| line.starts_with("Format:") && line.contains("copyright-format")) {
        return UNKNOWN.to_owned();
    }
    let mut found = BTreeSet::new();
    for paragraph in text.split("\n\n") {
        if !paragraph.lines().any(|line| line.starts_with("Files:")) {
            continue;
        }
        let Some(line) = paragraph.lines().find_map(|line| line.strip_prefix("License:")) else { continue };
        if line.trim().is_empty() {
            return UNKNOWN.to_owned();
        }
        found.insert(expression(line.trim()));
    }
    if found.is_empty() || found.len() > 40 || found.contains(UNKNOWN) {
        return UNKNOWN.to_owned();
    }
    let found: Vec<String> = found.into_iter().collect();
    match &found[..] {
        [one] => one.clone(),
        several => {
            let several = several.iter().map(|one| if one.contains(" OR ") { format!("({one})") } else { one.clone() });
            several.collect::<Vec<_>>().join(" AND ")
        }
    }
}

/// Turns `GPL-2+ or Expat and X` into SPDX. `and` binds closer in both.
fn expression(text: &str) -> String {
    let mut words = Vec::new();
    let text = text.replace(',', " ");
    let mut parts = text.split_ascii_whitespace().peekable();
    while let Some(part) = parts.next() {
        match part.to_ascii_lowercase().as_str() {
            "and" => words.push("AND".to_owned()),
            "or" => words.push("OR".to_owned()),
            "with" => {
                // An exception has no short name in Debian: the licence is kept, the exception only makes it wider.
                while parts.peek().is_some_and(|next| !matches!(next.to_ascii_lowercase().as_str(), "and" | "or")) {
                    parts.next();
                }
            }
            _ => words.push(name(part)),
        }
    }
    let operators =
        words.iter().enumerate().all(|(index, word)| (index % 2 == 1) == matches!(word.as_str(), "AND" | "OR"));
    if operators && words.len() % 2 == 1 { words.join(" ") } else { UNKNOWN.to_owned() }
}

fn name(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if let Some((_, spdx)) = NAMES.iter().find(|(debian, _)| *debian == lower) {
        return (*spdx).to_owned();
    }
    let letters = text.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' });
    format!("LicenseRef-Debian-{}", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";

    #[test]
    fn licences_are_read_as_spdx() {
        for (paragraphs, expected) in [
            ("Files: *\nLicense: GPL-2+\n text", "GPL-2.0-or-later"),
            (
                "Files: *\nLicense: Expat\n\nFiles: a\nLicense: GPL-2 or BSD-3-clause",
                "(GPL-2.0-only OR BSD-3-Clause) AND MIT",
            ),
            ("Files: *\nLicense: GPL-2+ with OpenSSL exception", "GPL-2.0-or-later"),
            ("Files: *\nLicense: public-domain", "LicenseRef-Debian-public-domain"),
            ("Files: *\nLicense: GPL-2 GPL-3", "NOASSERTION"),
            ("Files: *\nLicense:\n long text", "NOASSERTION"),
            ("License: GPL-2", "NOASSERTION"),
        ] {
            assert_eq!(read(&format!("{FORMAT}{paragraphs}\n")), expected, "{paragraphs}");
        }
        assert_eq!(read("This package is free software.\n\nFiles: *\nLicense: MIT\n"), "NOASSERTION");
    }
}
