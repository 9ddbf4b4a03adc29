//! Two images compared, for people.

use super::{
    change::Change,
    comparison::{Comparison, Download, Measure, RoomChange},
    file_change::{FileChange, Tally},
    page::{Cell, Folded, Page, Section, Sign},
    released::{Label, Room},
    topic::Topic,
};
use crate::content::bytes;

/// More rows than these are folded where a form can do that.
const LONG: usize = 40;
/// Of a digest so many digits are shown.
const DIGITS: usize = 16;

/// Which files are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileList {
    /// Only how many they are.
    Counted,
    /// Each of them.
    Whole,
}

impl Comparison {
    /// The page of this comparison.
    pub fn page(&self, files: FileList) -> Page {
        let title = format!("{} → {}", name(&self.old), name(&self.new));
        if self.is_equal() {
            return Page { title, lead: vec!["Nothing differs.".to_owned()], sections: Vec::new() };
        }
        let mut sections: Vec<Section> =
            self.changes.iter().map(|(topic, changes)| self.topic(*topic, changes)).collect();
        sections.push(sizes(&self.sizes));
        sections.push(partitions(&self.partitions));
        sections.extend(self.download.as_ref().map(download));
        if !self.files.is_empty() {
            sections.push(tallies("Files by component", "component", &self.by_component));
            sections.push(tallies("Files by folder", "folder", &self.by_folder));
        }
        if files == FileList::Whole && !self.files.is_empty() {
            sections.push(file_list(&self.files));
        }
        Page { title, lead: vec![self.summary()], sections }
    }

    /// What matters most, in a sentence.
    fn summary(&self) -> String {
        let components = self.changes.get(&Topic::Components).map_or(0, Vec::len);
        let download = match &self.download {
            Some(download) => format!("an update downloads {}", bytes(download.bytes())),
            None => "one is no update of the other".to_owned(),
        };
        format!("Changes: {components} of packages and components, {} of files; {download}.", self.files.len())
    }

    fn topic(&self, topic: Topic, changes: &[Change]) -> Section {
        let row = |change: &Change| {
            let side = |side: &Option<String>| Cell::Said(side.as_deref().map(shortened).unwrap_or_default());
            let sign = Cell::Sign(Sign::of(change.old.as_ref(), change.new.as_ref()));
            vec![sign, Cell::Said(change.what.clone()), side(&change.old), side(&change.new)]
        };
        let note = "An image does not hold its kernel's options; recipes that are compared have them.";
        Section {
            note: (topic == Topic::Kernel && !self.has_options).then(|| note.to_owned()),
            folded: folded(changes.len()),
            ..section(topic.title(), vec!["", "what", "before", "now"], changes.iter().map(row).collect())
        }
    }
}

fn name(label: &Label) -> String {
    format!("{} {} {}", label.image, label.version, label.architecture)
}

fn section(title: &str, head: Vec<&'static str>, rows: Vec<Vec<Cell>>) -> Section {
    Section { title: title.to_owned(), note: None, head, rows, folded: Folded::No, anchor: None, figure: None }
}

const fn folded(rows: usize) -> Folded {
    if rows > LONG { Folded::Yes } else { Folded::No }
}

/// A digest by its first digits; every other text as it is.
fn shortened(text: &str) -> String {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { format!("{}…", &text[..DIGITS]) } else { text.to_owned() }
}

fn sizes(sizes: &[Measure]) -> Section {
    let row = |size: &Measure| {
        vec![
            Cell::Words(size.what.to_owned()),
            Cell::Number(bytes(size.old)),
            Cell::Number(bytes(size.new)),
            Cell::Number(grown(size.old, size.new)),
        ]
    };
    section("Sizes", vec!["what", "before", "now", "difference"], sizes.iter().map(row).collect())
}

/// How much larger something is now.
fn grown(old: u64, new: u64) -> String {
    match new.checked_sub(old) {
        Some(0) => "same".to_owned(),
        Some(more) => format!("+{}", bytes(more)),
        None => format!("-{}", bytes(old - new)),
    }
}

fn partitions(partitions: &[RoomChange]) -> Section {
    let size = |room: Option<Room>| room.map_or_else(|| "none".to_owned(), |room| bytes(room.bytes));
    let row = |room: &RoomChange| {
        let left = |room: Room| room.bytes.saturating_sub(room.used);
        vec![
            Cell::Words(room.what.clone()),
            Cell::Number(size(room.old)),
            Cell::Number(size(room.new)),
            Cell::Number(room.old.map(|room| bytes(left(room))).unwrap_or_default()),
            Cell::Number(room.new.map(|room| bytes(left(room))).unwrap_or_default()),
        ]
    };
    let head = vec!["partition", "size before", "now", "left before", "now"];
    section("Partitions and their room", head, partitions.iter().map(row).collect())
}

fn download(download: &Download) -> Section {
    let row = |what: &str, bytes_of: u64| vec![Cell::Words(what.to_owned()), Cell::Number(bytes(bytes_of))];
    let parts = download.parts.iter().map(|part| row(part.what, part.bytes));
    let rows = parts.chain([row("in all", download.bytes())]).collect();
    Section {
        note: Some("As a repository offers them, uncompressed. A part that is the same is not downloaded.".to_owned()),
        ..section("Download of an update", vec!["part", "bytes"], rows)
    }
}

fn tallies(title: &str, of: &'static str, tallies: &[Tally]) -> Section {
    let row = |tally: &Tally| {
        let number = |count: u64| Cell::Number(if count == 0 { String::new() } else { count.to_string() });
        let size = bytes(tally.bytes.unsigned_abs());
        let size = match tally.bytes {
            0 => String::new(),
            more if more > 0 => format!("+{size}"),
            _ => format!("-{size}"),
        };
        let counts = [tally.added, tally.removed, tally.changed].map(number);
        [vec![Cell::Said(tally.name.clone())], counts.to_vec(), vec![Cell::Number(size)]].concat()
    };
    let head = vec![of, "added", "removed", "changed", "uncompressed"];
    Section { folded: folded(tallies.len()), ..section(title, head, tallies.iter().map(row).collect()) }
}

fn file_list(files: &[FileChange]) -> Section {
    let row = |file: &FileChange| {
        let size = |size: Option<u64>| Cell::Number(size.map(bytes).unwrap_or_default());
        vec![
            Cell::Sign(Sign::of(file.old.as_ref(), file.new.as_ref())),
            Cell::Said(file.path.clone()),
            Cell::Said(file.owner.clone()),
            Cell::Words(file.differs.join(", ")),
            size(file.old),
            size(file.new),
        ]
    };
    let head = vec!["", "path", "component", "what differs", "before", "now"];
    Section { folded: Folded::Yes, ..section("Files", head, files.iter().map(row).collect()) }
}
