//! What a person sees: every kind of mistake, and the recipes that brc ships.

use std::{fs, path::Path, path::PathBuf};

use super::{Diagnostic, FileGlob, Presence, Reading, SourcePath, SourceSet, code, one_line, read};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, relative to it.
fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        match entry.path().is_dir() {
            true => files_below(&entry.path(), &format!("{path}/"), found),
            false => found.push(path),
        }
    }
}

fn matches(root: &Path, glob: &FileGlob) -> Vec<SourcePath> {
    let mut all = Vec::new();
    files_below(&root.join(glob.folder.as_str()), "", &mut all);
    all.iter().filter(|path| glob.matches(path)).map(|path| glob.folder.join(path)).collect()
}

/// Reads from the disk below `root` until nothing is wanted any more.
fn read_all(root: &Path, mut sources: SourceSet) -> (SourceSet, Reading) {
    for _ in 0..8 {
        let wanted = match read(&sources) {
            Reading::Wanted(wanted) => wanted,
            reading => return (sources, reading),
        };
        for path in wanted.files {
            match fs::read(root.join(path.as_str())) {
                Ok(bytes) => sources.add_file(path, bytes),
                Err(_) => sources.add_missing(path),
            }
        }
        for glob in wanted.globs {
            let paths = matches(root, &glob);
            sources.add_matches(glob, paths);
        }
        for path in wanted.presence {
            let presence = match fs::metadata(root.join(path.as_str())) {
                Ok(metadata) if metadata.is_dir() => Presence::Folder,
                Ok(_) => Presence::File,
                Err(_) => Presence::Missing,
            };
            sources.add_presence(path, presence);
        }
    }
    panic!("reading does not come to an end");
}

fn read_project(folder: &str) -> (SourceSet, Reading) {
    let root = repository().join(folder);
    read_all(&root, SourceSet::new(Some(SourcePath::new("brc.kdl")), None))
}

fn read_text(text: &str) -> (SourceSet, Reading) {
    let mut sources = SourceSet::new(None, Some(SourcePath::new("a.kdl")));
    sources.add_file(SourcePath::new("a.kdl"), text.as_bytes().to_vec());
    read_all(Path::new("/nonexistent"), sources)
}

fn problems(reading: Reading) -> Vec<Diagnostic> {
    match reading {
        Reading::Wanted(_) => Vec::new(),
        Reading::Read(_, warnings) => warnings,
        Reading::Refused(problems) => problems,
    }
}

fn shown(sources: &SourceSet, problems: &[Diagnostic]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&one_line(sources, problem));
        text.push('\n');
        for label in problem.labels.iter().filter(|label| !label.text.is_empty()) {
            let (line, column) = super::line_and_column(sources, label.span);
            text.push_str(&format!("    {}:{line}:{column}: {}\n", sources.path(label.span.file), label.text));
        }
    }
    text
}

#[test]
fn the_recipes_that_brc_ships_are_read_without_a_word() {
    for folder in [".", "examples/quickstart"] {
        let (sources, reading) = read_project(folder);
        assert_eq!(shown(&sources, &problems(reading)), "", "{folder}");
    }
}
