//! What the settings of the machine say of updates: lines of a name and a value, as the template of `brc/updates` makes them.

use brc_contract::update::{SEEDS, Wishes};

/// The value of `latest`, which is no version.
const LATEST: &str = "latest";

/// What settings say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    /// Which update, and when.
    pub wishes: Wishes,
    /// Where the metadata is, in place of what the image says.
    pub metadata: Option<String>,
    /// Where the targets are, in place of what the image says.
    pub targets: Option<String>,
    /// After so many starts that are not healthy a version is given up that once was.
    pub after_blessing: Option<u8>,
    /// Who is told how the machine fares.
    pub report: Option<String>,
    /// The units of which those that failed are told; every one when there is none.
    pub report_units: Vec<String>,
}

/// Reads the file.
///
/// # Errors
/// A line that the template does not make.
pub(crate) fn parse(text: &str) -> Result<Said, WishError> {
    let mut said = Said::default();
    for line in text.lines() {
        let wrong = || WishError { line: line.to_owned() };
        let (name, value) = line.split_once(' ').ok_or_else(wrong)?;
        match name {
            "metadata" => said.metadata = Some(value.to_owned()),
            "targets" => said.targets = Some(value.to_owned()),
            "version" => said.wishes.version = Some(value.to_owned()).filter(|version| version != LATEST),
            "seed" => said.wishes.seed = Some(value.parse().ok().filter(|seed| *seed < SEEDS).ok_or_else(wrong)?),
            "after-blessing" => said.after_blessing = Some(value.parse().map_err(|_| wrong())?),
            "report" => said.report = Some(value.to_owned()),
            "report-unit" => said.report_units.push(value.to_owned()),
            "waves" if value == "ignored" => said.wishes.ignores_waves = true,
            _ => return Err(wrong()),
        }
    }
    Ok(said)
}

/// A line is none of those that there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no line that the settings of updates make", line.escape_debug())]
pub struct WishError {
    line: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_obeyed_or_told() {
        let said = parse(
            "metadata https://a.example/m\ntargets https://b.example/\nversion 1.9.0\nseed 7\nwaves ignored\nafter-blessing 5\nreport http://c.example/\nreport-unit a.service\n",
        );
        let wishes = Wishes { version: Some("1.9.0".to_owned()), seed: Some(7), ignores_waves: true };
        let [metadata, targets] = ["https://a.example/m", "https://b.example/"].map(|url| Some(url.to_owned()));
        let expected = Said {
            wishes,
            metadata,
            targets,
            after_blessing: Some(5),
            report: Some("http://c.example/".to_owned()),
            report_units: vec!["a.service".to_owned()],
        };
        assert_eq!(said, Ok(expected));
        assert_eq!(parse(""), Ok(Said::default()));
        assert_eq!(parse("version latest\n"), Ok(Said::default()));
        for line in ["after-blessing 256", "seed 2048", "seed x", "waves obeyed", "version", "colour blue"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
