//! A page for people, before it is known in which form.

mod html;
mod markdown;
mod text;
mod treemap;

pub use html::html;
pub use markdown::markdown;
pub use text::text;
pub use treemap::{Tile, Treemap};

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What is said before everything else, a paragraph each.
    pub lead: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A part of a page: a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// What is said below the table.
    pub note: Option<String>,
    /// The titles of the columns.
    pub head: Vec<&'static str>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<Cell>>,
    /// Whether it is so long that it is only shown when somebody asks for it, where a form can do that.
    pub folded: Folded,
    /// The word by which a link of this page leads here.
    pub anchor: Option<String>,
    /// What is shown above the table in HTML, which alone can show it.
    pub figure: Option<Treemap>,
}

impl Section {
    /// Whether a column has numbers, which stand on the right.
    fn is_number(&self, column: usize) -> bool {
        matches!(self.rows.first().and_then(|row| row.get(column)), Some(Cell::Number(_)))
    }
}

/// Whether a section is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It is shown.
    No,
    /// Its title is shown.
    Yes,
}

/// A place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Whether something came, went or changed.
    Sign(Sign),
    /// Words of ours.
    Words(String),
    /// What an image says.
    Said(String),
    /// A number, which stands on the right.
    Number(String),
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It is not the same.
    Changed,
}

impl Sign {
    /// The sign of something that was there or not, and is or not.
    pub const fn of<T>(old: Option<&T>, new: Option<&T>) -> Self {
        match (old, new) {
            (None, _) => Sign::Added,
            (_, None) => Sign::Removed,
            _ => Sign::Changed,
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Sign::Added => "+",
            Sign::Removed => "-",
            Sign::Changed => "~",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Sign::Added => "added",
            Sign::Removed => "removed",
            Sign::Changed => "changed",
        }
    }
}

/// What is said, on one line and without characters that turn or hide what follows.
fn one_line(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || turns(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}
