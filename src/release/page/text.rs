//! A page as lines for a terminal.

use super::{Cell, Page, one_line};

/// Columns are no wider than this; what is longer moves the rest of its line.
const WIDEST: usize = 56;

/// A page as text.
pub fn text(page: &Page) -> String {
    let mut lines = vec![one_line(&page.title)];
    lines.extend(page.lead.iter().map(|line| one_line(line)));
    for section in &page.sections {
        lines.extend([String::new(), section.title.clone()]);
        let head: Vec<Cell> = section.head.iter().map(|title| Cell::Words((*title).to_owned())).collect();
        let has_titles = section.head.iter().any(|title| !title.is_empty());
        let rows: Vec<&Vec<Cell>> = has_titles.then_some(&head).into_iter().chain(&section.rows).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| shown(cell).chars().count()).max().unwrap_or(0).min(WIDEST)
        };
        let widths: Vec<usize> = (0..section.head.len()).map(width).collect();
        for row in rows {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = widths.get(column).copied().unwrap_or(0);
                let shown = shown(cell);
                if section.is_number(column) { format!("{shown:>width$}") } else { format!("{shown:<width$}") }
            });
            lines.push(format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned());
        }
        lines.extend(section.note.iter().map(|note| format!("  {note}")));
    }
    lines.join("\n")
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Sign(sign) => sign.mark().to_owned(),
        Cell::Words(text) | Cell::Number(text) => text.clone(),
        Cell::Said(text) => one_line(text),
    }
}
