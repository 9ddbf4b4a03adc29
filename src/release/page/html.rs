//! A page as one HTML file: nothing is fetched, nothing runs, and what an image says is text.

use super::{Cell, Folded, Page, Section, Sign, Treemap, one_line, treemap::placed};
use crate::content::bytes;

/// How a page looks, in light and in dark.
const STYLE: &str = include_str!("page.css");

/// A page as HTML.
pub fn html(page: &Page) -> String {
    let title = escaped(&page.title);
    let lead: String = page.lead.iter().map(|line| format!("<p>{}</p>\n", escaped(line))).collect();
    let sections: String = page.sections.iter().map(section).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{lead}{sections}</main>\n</body>\n</html>"
    )
}

fn section(section: &Section) -> String {
    let open = match section.folded {
        Folded::No => " open",
        Folded::Yes => "",
    };
    let title_of = |(column, title): (usize, &&str)| {
        let class = if section.is_number(column) { " class=\"number\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", escaped(title))
    };
    let head: String = section.head.iter().enumerate().map(title_of).collect();
    let rows: String =
        section.rows.iter().map(|row| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>())).collect();
    let figure = section.figure.as_ref().map(treemap).unwrap_or_default();
    let anchor = section.anchor.as_ref().map(|anchor| format!(" id=\"{}\"", escaped(anchor))).unwrap_or_default();
    let note = section.note.as_ref().map(|note| format!("<p>{}</p>\n", escaped(note))).unwrap_or_default();
    let title = escaped(&section.title);
    let region = format!("<div class=\"wide\"{anchor} tabindex=\"0\" role=\"region\" aria-label=\"{title}\">");
    format!(
        "<details{open}>\n<summary><h2>{title}</h2></summary>\n{figure}{region}\n<table>\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n{note}</details>\n"
    )
}

/// Tiles that are as large as what they stand for; those with a link lead to what is in them.
fn treemap(map: &Treemap) -> String {
    let whole = map.tiles.iter().map(|tile| tile.bytes).fold(0, u64::saturating_add).max(1);
    let tile = |(tile, place): (&super::Tile, super::treemap::Place)| {
        let name = escaped(&tile.name);
        let size = bytes(tile.bytes);
        let share = tile.bytes as f64 * 100.0 / whole as f64;
        let said = format!("{name}: {size}, {share:.1} %");
        let style = format!(
            "left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%;--hue:{}",
            place.left,
            place.top,
            place.width,
            place.height,
            hue(&tile.name)
        );
        let inside = format!("<span>{name}</span><span>{size}</span>");
        match &tile.anchor {
            Some(anchor) => format!(
                "<li style=\"{style}\"><a href=\"#{}\" title=\"{said}\" aria-label=\"{said}\">{inside}</a></li>\n",
                escaped(anchor)
            ),
            None => format!("<li style=\"{style}\" title=\"{said}\"><div>{inside}</div></li>\n"),
        }
    };
    let tiles: String = map.tiles.iter().zip(placed(&map.tiles)).map(tile).collect();
    format!("<ul class=\"map\" aria-label=\"{}\">\n{tiles}</ul>\n", escaped(&map.title))
}

/// A colour for a name: the same in every page.
fn hue(name: &str) -> u32 {
    name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 360
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Sign(sign) => {
            let class = match sign {
                Sign::Added => "added",
                Sign::Removed => "removed",
                Sign::Changed => "changed",
            };
            format!("<td class=\"{class}\">{}</td>", sign.word())
        }
        Cell::Words(text) => format!("<td>{}</td>", escaped(text)),
        Cell::Said(text) => format!("<td><code>{}</code></td>", escaped(text)),
        Cell::Number(text) => format!("<td class=\"number\">{}</td>", escaped(text)),
    }
}

/// A text as HTML shows it, inside an element or a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in one_line(text).chars() {
        match letter {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            letter => written.push(letter),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_is_text() {
        let said = "<script>alert('1')</script>&\"\u{202e}\n";
        let written = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\\u{202e}\\u{a}";
        assert_eq!(escaped(said), written);
    }
}
