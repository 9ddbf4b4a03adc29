//! Fragments of a kernel's configuration, in the words of Kconfig.

/// What one line of a fragment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentLine {
    /// The option without `CONFIG_`.
    pub option: String,
    /// Its value as it is written: `y`, `m`, `256`, `"text"`; `n` for one that is not to be set.
    pub value: String,
    /// The number of the line, from 1.
    pub line: usize,
}

/// What `text` says, in order; comments and whatever Kconfig would pass over are left out.
///
/// The same form serves fragments and a whole `.config` (Documentation/kbuild/kconfig.rst).
pub fn read_fragment(text: &str) -> Vec<FragmentLine> {
    let said = text.lines().enumerate().filter_map(|(index, line)| {
        let (option, value) = match line.strip_prefix("CONFIG_") {
            Some(set) => set.split_once('=')?,
            None => (line.strip_prefix("# CONFIG_")?.strip_suffix(" is not set")?, "n"),
        };
        Some(FragmentLine { option: option.to_owned(), value: value.trim_end().to_owned(), line: index + 1 })
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_fragment_are_read_as_kconfig_reads_them() {
        let text =
            "# a comment\r\nCONFIG_SMP=y \r\n\n# CONFIG_VT is not set\nCONFIG_LSM=\"a=b\"\n # CONFIG_A is not set\n";
        let line = |option: &str, value: &str, line| FragmentLine { option: option.into(), value: value.into(), line };
        assert_eq!(read_fragment(text), [line("SMP", "y", 2), line("VT", "n", 4), line("LSM", "\"a=b\"", 5)]);
    }
}
