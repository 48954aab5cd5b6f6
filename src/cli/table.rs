//! Tables in the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

use super::visible::visible_line;

/// Maximum width of a table. A choice that fits most terminal windows; longer text is wrapped in its cell.
const WIDTH_COLUMNS: u16 = 100;

/// A line under the header, and no other lines.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The rows under their headers, without a line break at the end. `right_aligned` has the indexes of the columns with
/// numbers, which are aligned right. These and the first column, which names the row, are never wrapped. Control characters are shown as escapes; the widths include
/// those.
#[must_use]
pub(super) fn table<const N: usize>(headers: [&str; N], rows: Vec<[String; N]>, right_aligned: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH_COLUMNS);
    let rows = rows.iter().map(|row| row.each_ref().map(|cell| visible_line(cell)));
    table.set_header(headers).add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if place == 0 || right_aligned.contains(&place) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if right_aligned.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rank: &str, title: &str, score: &str) -> [String; 3] {
        [rank, title, score].map(str::to_owned)
    }

    #[test]
    fn numbers_stand_right_and_text_left_under_one_line() {
        let rows = vec![row("1", "Zone of Interest", "76.2"), row("10", "Amélie", "8.0")];
        let expected = "
Rank  Title             Score
──────────────────────────────
   1  Zone of Interest   76.2
  10  Amélie              8.0";
        assert_eq!(format!("\n{}", table(["Rank", "Title", "Score"], rows, &[0, 2])), expected);
    }

    #[test]
    fn a_long_title_is_wrapped_and_a_number_is_not() {
        let printed = table(["Rank", "Title", "Score"], vec![row("1000000", &"Long ".repeat(60), "76.2")], &[0, 2]);
        let widths: Vec<_> = printed.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width <= 100), "{widths:?}");
        assert!(printed.contains("\n1000000  Long "), "{printed}");
    }

    #[test]
    fn control_characters_neither_reach_the_terminal_nor_add_lines() {
        let printed = table(["Rank", "Title", "Score"], vec![row("1", "\u{1b}[2JA\r\n\tB\u{202e}", "8.0")], &[0, 2]);
        assert_eq!(printed.lines().nth(2), Some(r"   1  \u{1b}[2JA\u{d}\u{a}\u{9}B\u{202e}    8.0"));
        assert_eq!(printed.lines().count(), 3, "{printed}");
    }

    #[test]
    fn a_table_without_rows_shows_its_headers() {
        assert!(table(["Rank", "Title"], vec![], &[0]).starts_with("Rank  Title"));
    }
}
