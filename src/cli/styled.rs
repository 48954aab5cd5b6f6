//! Text as a terminal shows it best: bold headers, and right-to-left titles that leave the rest of their line in order.

use std::borrow::Cow;

use super::table::{GAP, RULE};
use super::terminal::Style;

/// The text with the headers of its tables in bold, if there are colours, and with its right-to-left texts isolated.
pub(super) fn for_terminal(text: &str, colours: bool) -> String {
    let mut lines = text.split('\n').peekable();
    let mut shown = Vec::new();
    while let Some(line) = lines.next() {
        // The line below tells a header: other lines never have this one below.
        let is_header = lines.peek().is_some_and(|next| !next.is_empty() && next.chars().all(|c| c == RULE));
        let line = isolated(line);
        shown.push(if is_header && colours { Style::Header.of(&line) } else { line.into_owned() });
    }
    shown.join("\n")
}

/// Isolates the cells of a line that have right-to-left letters, by the controls of UAX #9: otherwise a terminal that
/// reorders such text would reorder the numbers beside it, or the whole line. `line` has no such controls yet.
fn isolated(line: &str) -> Cow<'_, str> {
    if !line.contains(is_right_to_left) {
        return Cow::Borrowed(line);
    }
    let isolated = |cell: &str| {
        let text = cell.trim();
        if cell.contains(is_right_to_left) {
            cell.replace(text, &format!("\u{2068}{text}\u{2069}"))
        } else {
            cell.to_owned()
        }
    };
    Cow::Owned(line.split(GAP).map(isolated).collect::<Vec<_>>().join(GAP))
}

/// Whether the character is in a block of right-to-left scripts, such as Hebrew and Arabic.
fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_to_left_cells_are_isolated() {
        for (line, shown) in [
            ("   1  Heat     1995", "   1  Heat     1995"),
            ("   1  איש אחד  1995", "   1  \u{2068}איש אחד\u{2069}  1995"),
            ("باب الحديد (1958)", "\u{2068}باب الحديد (1958)\u{2069}"),
        ] {
            assert_eq!(isolated(line), shown);
        }
    }

    #[test]
    fn headers_of_tables_are_bold_where_there_are_colours() {
        let text = "5 of 14\n\nRank  Title\n───────────\n   1  Heat\n";
        let bold = "5 of 14\n\n\u{1b}[1mRank  Title\u{1b}[0m\n───────────\n   1  Heat\n";
        assert_eq!(for_terminal(text, true), bold);
        assert_eq!(for_terminal(text, false), text);
    }
}
