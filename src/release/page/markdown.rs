//! A page as GitHub's Markdown, for a comment: what an image says stands between backticks, where nothing is marked up,
//! linked or called by its name.

use super::{Cell, Folded, Page, Section, one_line};

/// A page as Markdown.
pub fn markdown(page: &Page) -> String {
    let mut parts = vec![format!("## {}", plain(&page.title))];
    parts.extend(page.lead.iter().map(|line| plain(line)));
    parts.extend(page.sections.iter().map(section));
    parts.join("\n\n")
}

fn section(section: &Section) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let ruler = |column| if section.is_number(column) { "---:" } else { "---" }.to_owned();
    let ruler = (0..section.head.len()).map(ruler);
    let mut lines = vec![line(section.head.iter().map(|title| plain(title)).collect()), line(ruler.collect())];
    lines.extend(section.rows.iter().map(|row| line(row.iter().map(cell).collect())));
    let note = section.note.as_ref().map(|note| format!("\n\n{}", plain(note))).unwrap_or_default();
    let table = format!("{}{note}", lines.join("\n"));
    let title = plain(&section.title);
    match section.folded {
        Folded::No => format!("### {title}\n\n{table}"),
        Folded::Yes => format!("<details><summary>{title}</summary>\n\n{table}\n\n</details>"),
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Sign(sign) => sign.word().to_owned(),
        Cell::Words(text) | Cell::Number(text) => plain(text),
        Cell::Said(text) => code(text),
    }
}

/// What an image says, as code: the fence has more backticks than the text has in a row. In a table a bar ends the cell
/// even there.
fn code(text: &str) -> String {
    let text = one_line(text).replace('|', "\\|");
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match text.as_str() {
        "" => String::new(),
        text if text.starts_with('`') || text.ends_with('`') => format!("{fence} {text} {fence}"),
        text => format!("{fence}{text}{fence}"),
    }
}

/// Words of ours with names in them: whatever Markdown or HTML would take for more is written out.
fn plain(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in one_line(text).chars() {
        if "\\`*_[]<>|#@~&!".contains(letter) {
            written.push('\\');
        }
        written.push(letter);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_is_marked_up_by_nothing() {
        for (said, written) in [
            ("a", "`a`"),
            ("", ""),
            ("a|b", "`a\\|b`"),
            ("a`b", "``a`b``"),
            ("`a``", "``` `a`` ```"),
            ("@team #1 <b>", "`@team #1 <b>`"),
            ("a\nb", "`a\\u{a}b`"),
        ] {
            assert_eq!(code(said), written, "{said:?}");
        }
        assert_eq!(plain("a_b <c> @d"), "a\\_b \\<c\\> \\@d");
    }
}
