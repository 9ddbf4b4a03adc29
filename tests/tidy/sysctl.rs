//! The page about settings of the running kernel says what the recipe sets, and why it is something else than a list.

use std::collections::BTreeMap;

use crate::{holds, paper::read};

/// The settings of `file "/usr/lib/sysctl.d/60-brc.conf"` in the recipe of component `system`.
fn set() -> BTreeMap<String, String> {
    let recipe = read("recipes/system.kdl");
    let text = recipe.split_once("60-brc.conf\" text=\"\"\"\n").unwrap().1;
    let text = text.split_once("\"\"\"").unwrap().0;
    let settings = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    settings
        .map(|line| {
            let (name, value) = line.split_once(" = ").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn the_page_about_settings_says_what_the_recipe_sets_and_why() {
    let mut set = set();
    assert!(set.len() > 20, "{set:?}");
    let page = read("docs/reference/sysctl.md");
    let mut broken = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [setting, kspp, cis, ours, reason] = cells[..] else { panic!("{line}") };
        if set.remove(setting).unwrap_or_default() != ours {
            broken.push(format!("the recipe does not set this: {line}"));
        }
        let differs = |list: &str| !list.is_empty() && list != ours;
        let is_ours_alone = kspp.is_empty() && cis.is_empty();
        if (differs(kspp) || differs(cis) || is_ours_alone) && reason.is_empty() {
            broken.push(format!("a difference without a reason: {line}"));
        }
    }
    broken.extend(set.keys().map(|setting| format!("the page says nothing about `{setting}`")));
    holds("docs/reference/sysctl.md says what brc sets, and why where a list says something else.", broken);
}
