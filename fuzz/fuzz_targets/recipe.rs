//! Any text as a project of one file: reading must end, and without a panic.

#![no_main]

use brc::recipe::{Presence, Reading, SourcePath, SourceSet, line_and_column, one_line, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = SourcePath::new("fuzz.kdl");
    let mut sources = SourceSet::new(None, Some(path.clone()));
    sources.add_file(path, bytes.to_vec());
    loop {
        match read(&sources) {
            Reading::Wanted(wanted, _) => {
                for path in wanted.files {
                    sources.add_missing(path);
                }
                for glob in wanted.globs {
                    sources.add_matches(glob, Vec::new());
                }
                for path in wanted.presence {
                    sources.add_presence(path, Presence::File);
                }
            }
            Reading::Read(_, problems) | Reading::Refused(problems) => {
                for problem in &problems {
                    one_line(&sources, problem);
                    for label in &problem.labels {
                        line_and_column(&sources, label.span);
                    }
                }
                return;
            }
        }
    }
});
