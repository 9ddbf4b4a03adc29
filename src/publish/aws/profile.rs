//! The shared files of AWS: sections in brackets, `name = value` in each line.

use std::collections::BTreeMap;

/// The sections of a file by name, each with what it says.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a file; `prefix` stands before the names of profiles (`profile ` in `config`), but for `default`.
pub(super) fn sections(text: &str, prefix: &str) -> Sections {
    let mut found = Sections::new();
    let mut current = None;
    for line in text.lines() {
        // What is indented belongs to the line before (settings of one service), and none of that is read here.
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            let name = name.trim();
            let profile = name.strip_prefix(prefix).map(str::trim);
            current = profile.or((name == "default").then_some(name)).map(str::to_owned);
            continue;
        }
        let (Some(section), Some((name, value)), false) = (&current, line.split_once('='), is_nested) else { continue };
        let value = value.trim();
        // A comment begins behind a space.
        let value = value.find(" #").or_else(|| value.find(" ;")).map_or(value, |end| value[..end].trim_end());
        found.entry(section.clone()).or_default().insert(name.trim().to_ascii_lowercase(), value.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_as_the_tools_of_aws_write_them() {
        let config = "# all\n[default]\nregion=eu-central-1\n\n[profile ci]\nRole_Arn = arn:aws:iam::1:role/x ; why\n\
                      s3 =\n  region = nested\n[sso-session x]\nregion = other\n[ profile  b ]\nregion = b#c\n";
        let found = sections(config, "profile ");
        assert_eq!(found["default"]["region"], "eu-central-1");
        assert_eq!(found["ci"]["role_arn"], "arn:aws:iam::1:role/x");
        assert_eq!(found["ci"].get("region"), None);
        assert_eq!(found["b"]["region"], "b#c");
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(sections("[a b]\naws_access_key_id = x", "")["a b"]["aws_access_key_id"], "x");
        assert!(sections("aws_access_key_id = x\n[open", "").is_empty());
    }
}
