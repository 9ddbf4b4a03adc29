//! What takes the room in an image, for people.

use super::{
    page::{Cell, Folded, Page, Section, Tile, Treemap},
    taken::{Share, Taken},
};
use crate::content::{bytes, counted};

/// Of a component so many files are listed.
const LISTED: usize = 25;

/// How much a page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Components and folders.
    Tables,
    /// The largest files of each component too, and treemaps.
    Files,
}

impl Taken {
    /// The page of this image.
    pub fn page(&self, depth: Depth) -> Page {
        let label = &self.label;
        let title = format!("{} {} {}", label.image, label.version, label.architecture);
        let has_files = |share: &&Share| depth == Depth::Files && share.stored > 0;
        let components = Section {
            figure: Some(self.map("Components", &self.components)),
            ..self.section("By component", "component", &self.components)
        };
        let folders = self.section("By folder", "folder", &self.folders);
        let files = self.components.iter().enumerate().filter(|(_, share)| has_files(share));
        let files = files.map(|(index, share)| self.files(index, share));
        let sections = [components, folders, self.partitions()].into_iter().chain(files).collect();
        Page { title, lead: self.lead(), sections }
    }

    fn lead(&self) -> Vec<String> {
        let root = bytes(self.root_bytes);
        let kept = match self.budget {
            Some(budget) if budget < self.root_bytes => {
                let over = bytes(self.root_bytes - budget);
                format!("The root has {root}, {over} more than its budget of {}.", bytes(budget))
            }
            Some(budget) => {
                let left = bytes(budget - self.root_bytes);
                format!("The root has {root} of a budget of {}: {left} are left.", bytes(budget))
            }
            None => format!("The root has {root}; its budget is not known without its recipe."),
        };
        let metadata = bytes(self.metadata_bytes);
        let kernel = bytes(self.kernel_image_bytes);
        vec![
            kept,
            format!(
                "Names, folders, links and owners take {metadata} of it. The kernel image, on the ESP, has {kernel}."
            ),
        ]
    }

    fn section(&self, title: &str, of: &'static str, shares: &[Share]) -> Section {
        let row = |share: &Share| {
            let part = share.stored as f64 * 100.0 / self.root_bytes.max(1) as f64;
            vec![
                Cell::Number(bytes(share.stored)),
                Cell::Number(format!("{part:.1} %")),
                Cell::Number(bytes(share.bytes)),
                Cell::Number(share.files.to_string()),
                Cell::Said(share.name.clone()),
            ]
        };
        Section {
            title: title.to_owned(),
            note: None,
            head: vec!["compressed", "of the root", "uncompressed", "files", of],
            rows: shares.iter().map(row).collect(),
            folded: Folded::No,
            anchor: None,
            figure: None,
        }
    }

    fn map(&self, title: &str, shares: &[Share]) -> Treemap {
        let tile = |(index, share): (usize, &Share)| Tile {
            name: share.name.clone(),
            bytes: share.stored,
            anchor: (!share.inside.is_empty()).then(|| anchor(index)),
        };
        let tiles = shares.iter().enumerate().filter(|(_, share)| share.stored > 0).map(tile);
        Treemap { title: title.to_owned(), tiles: tiles.collect() }
    }

    /// The largest files of a component; the others in one row.
    fn files(&self, index: usize, component: &Share) -> Section {
        let (listed, others) = component.inside.split_at(component.inside.len().min(LISTED));
        let mut shares = listed.to_vec();
        if !others.is_empty() {
            let sum = |size: fn(&Share) -> u64| others.iter().map(size).fold(0, u64::saturating_add);
            shares.push(Share {
                name: counted(others.len(), "smaller file"),
                files: others.len() as u64,
                bytes: sum(|share| share.bytes),
                stored: sum(|share| share.stored),
                inside: Vec::new(),
            });
        }
        let mut map = self.map(&component.name, &shares);
        map.tiles.sort_by_key(|tile| std::cmp::Reverse(tile.bytes));
        Section {
            folded: Folded::Yes,
            anchor: Some(anchor(index)),
            figure: Some(map),
            ..self.section(&component.name, "file", &shares)
        }
    }

    fn partitions(&self) -> Section {
        let row = |(what, room): &(String, super::released::Room)| {
            let left = room.bytes.saturating_sub(room.used);
            let sizes = [room.bytes, room.used, left].map(|size| Cell::Number(bytes(size)));
            [sizes.as_slice(), &[Cell::Words(what.clone())]].concat()
        };
        Section {
            title: "Partitions and their room".to_owned(),
            note: None,
            head: vec!["size", "used", "left", "partition"],
            rows: self.partitions.iter().map(row).collect(),
            folded: Folded::No,
            anchor: None,
            figure: None,
        }
    }
}

/// The word by which the tile of a component leads to its files.
fn anchor(index: usize) -> String {
    format!("component-{}", index + 1)
}
