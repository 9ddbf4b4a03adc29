//! The reference of settings is written from the one place that states them.

use std::fmt::Write as _;

use brc_contract::settings::{KEYS, Key, Kind, LATER};

use crate::reference::is_written;

const PAGE: &str = "docs/reference/settings.md";
const BEGIN: &str =
    "<!-- from host/contract/src/settings/keys.rs; `BRC_BLESS=1 cargo test --test tidy` writes it -->\n";

/// The lines of keys and of all below them.
fn rows(page: &mut String, path: &str, keys: &[Key]) {
    for key in keys {
        below(page, &format!("{path}.{}", key.name), key.kind, key.about);
    }
}

fn below(page: &mut String, path: &str, kind: Kind, about: &str) {
    match kind {
        Kind::Group(keys) => rows(page, path, keys),
        Kind::List(Kind::Group(keys)) | Kind::ListOrOne(Kind::Group(keys)) => rows(page, &format!("{path}[]"), keys),
        Kind::Table(_, of) => below(page, &format!("{path}.NAME"), *of, about),
        _ => {
            let _ = writeln!(page, "| `{path}` | {} | {about} |", kind.described());
        }
    }
}

fn page() -> String {
    let mut page = String::from("\n| setting | what it may be | what it does |\n| --- | --- | --- |\n");
    rows(&mut page, "settings", KEYS);
    page.push_str("\nOf Bottlerocket's settings these are known by name, and told when user data has them:\n\n");
    page.push_str("| setting | why it does nothing |\n| --- | --- |\n");
    for later in LATER {
        let _ = writeln!(page, "| `settings.{}` | {} |", later.path, later.why);
    }
    page.push('\n');
    page
}

#[test]
fn the_reference_of_settings_is_that_of_the_schema() {
    is_written(PAGE, BEGIN, &page());
}
