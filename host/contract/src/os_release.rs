//! os-release(5), where an image says what it is.

/// The key whose value is the variant's name.
pub const IMAGE_ID: &str = "IMAGE_ID";
/// The key whose value is the version of the image.
pub const IMAGE_VERSION: &str = "IMAGE_VERSION";

/// The value of `key`, without the quotes around it; nothing inside them is an escape in what the builder writes.
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_key() {
        let text = "NAME=\"brc\"\nOLD_IMAGE_ID=x\nIMAGE_ID=\"quick=start\"\nIMAGE_VERSION=1\nIMAGE_ID=late\n";
        for (key, expected) in
            [(IMAGE_ID, Some("quick=start")), (IMAGE_VERSION, Some("1")), ("ID", None), ("VERSION", None)]
        {
            assert_eq!(value(text, key), expected, "{key}");
        }
    }
}
