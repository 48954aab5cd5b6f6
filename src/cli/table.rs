//! Tables in the terminal: one line for each row, in columns that fit the width of the window.

use unicode_width::UnicodeWidthStr;

use super::terminal;
use super::visible::visible_line;

/// Between two columns.
pub(super) const GAP: &str = "  ";

/// What the line under the headers consists of.
pub(super) const RULE: char = '─';

/// Width below which a cell is not cut as long as there are columns that can be left out instead. A choice: most titles
/// can be told apart by it.
const CUT_MIN: usize = 20;

/// What follows the part of a text that is shown.
const ELLIPSIS: &str = "…";

/// A character that joins the next one to the one before it, as in emoji of several people.
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// A column of a table, and what becomes of it in a terminal that is too narrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    header: &'static str,
    is_number: bool,
    is_cut: bool,
    /// `None`: never left out.
    left_out: Option<u8>,
}

impl Column {
    /// A column of text, which is aligned left.
    pub(super) const fn text(header: &'static str) -> Self {
        Self { header, is_number: false, is_cut: false, left_out: None }
    }

    /// A column of numbers, which are aligned right.
    pub(super) const fn number(header: &'static str) -> Self {
        Self { is_number: true, ..Self::text(header) }
    }

    /// Its cells are cut to the width that is left. For one column of a table, whose texts may be long.
    pub(super) const fn cut(self) -> Self {
        Self { is_cut: true, ..self }
    }

    /// It is left out where the table does not fit, before those of a higher `order` and together with those of the same.
    pub(super) const fn left_out(self, order: u8) -> Self {
        Self { left_out: Some(order), ..self }
    }
}

/// The rows under their headers, without a line break at the end. Fits into the terminal, if standard output is one;
/// otherwise, every column and cell is whole. Control characters are shown as escapes; the widths include those.
#[must_use]
pub(super) fn table<const N: usize>(columns: [Column; N], rows: Vec<[String; N]>) -> String {
    laid_out(columns, &rows, terminal::width())
}

/// As [`table`], for a terminal of `width` columns; `None` without a terminal.
fn laid_out<const N: usize>(columns: [Column; N], rows: &[[String; N]], width: Option<usize>) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| visible_line(cell))).collect();
    let mut widths: [usize; N] = std::array::from_fn(|place| {
        let cells = rows.iter().map(|row| row[place].width());
        cells.chain([columns[place].header.width()]).max().unwrap_or_default()
    });
    let shown = width.map_or_else(|| (0..N).collect(), |width| fitted(&columns, &mut widths, width));

    let line = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<_> = shown.iter().map(|&place| aligned(&cell(place), widths[place], columns[place])).collect();
        cells.join(GAP).trim_end().to_owned()
    };
    let rule = RULE.to_string().repeat(total(&shown, &widths));
    let rows = rows.iter().map(|row| line(&|place| cut(&row[place], widths[place])));
    [line(&|place| columns[place].header.to_owned()), rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// The places of the columns that are shown in a terminal of `width` columns. Reduces the width of the column that is cut.
fn fitted<const N: usize>(columns: &[Column; N], widths: &mut [usize; N], width: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..N).collect();
    let cut = columns.iter().position(|column| column.is_cut);
    let smallest = |shown: &[usize], widths: &[usize; N]| {
        let saved = cut.filter(|place| shown.contains(place)).map_or(0, |place| widths[place].saturating_sub(CUT_MIN));
        total(shown, widths) - saved
    };
    while smallest(&shown, widths) > width {
        let Some(least) = shown.iter().filter_map(|&place| columns[place].left_out).min() else { break };
        shown.retain(|&place| columns[place].left_out != Some(least));
    }
    if let Some(place) = cut.filter(|place| shown.contains(place)) {
        let excess = total(&shown, widths).saturating_sub(width);
        widths[place] = widths[place].saturating_sub(excess).max(columns[place].header.width());
    }
    shown
}

/// Width of a table of these columns.
fn total(shown: &[usize], widths: &[usize]) -> usize {
    shown.iter().map(|&place| widths[place]).sum::<usize>() + GAP.len() * shown.len().saturating_sub(1)
}

fn aligned(cell: &str, width: usize, column: Column) -> String {
    let space = " ".repeat(width.saturating_sub(cell.width()));
    if column.is_number { format!("{space}{cell}") } else { format!("{cell}{space}") }
}

/// `text` in at most `width` columns of the terminal. Never separates a character from the marks on it.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let is_whole = |end: usize| {
        let follows = text[end..].chars().next().is_some_and(|next| next.to_string().width() > 0);
        follows && !text[..end].ends_with(ZERO_WIDTH_JOINER)
    };
    let ends = text.char_indices().map(|(end, _)| end).filter(|&end| is_whole(end));
    let end = ends.take_while(|&end| text[..end].width() < width).last().unwrap_or_default();
    format!("{}{ELLIPSIS}", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::number("Rank"),
        Column::text("Title").cut(),
        Column::text("Released").left_out(2),
        Column::number("Score").left_out(1),
    ];

    fn row(rank: &str, title: &str, score: &str) -> [String; 4] {
        [rank, title, "1990-03-04", score].map(str::to_owned)
    }

    fn printed(rows: &[[String; 4]], width: Option<usize>) -> String {
        format!("\n{}", laid_out(COLUMNS, rows, width))
    }

    #[test]
    fn numbers_stand_right_and_text_left_under_one_line() {
        let rows = [row("1", "Zone of Interest", "76.2"), row("10", "Amélie", "8.0")];
        let expected = "
Rank  Title             Released    Score
─────────────────────────────────────────
   1  Zone of Interest  1990-03-04   76.2
  10  Amélie            1990-03-04    8.0";
        assert_eq!(printed(&rows, None), expected);
        assert_eq!(printed(&rows, Some(41)), expected);
    }

    #[test]
    fn narrow_terminals_lose_the_least_columns_first_and_then_the_ends_of_titles() {
        let rows =
            [row("1", "The Unbearable Lightness of Being", "76.2"), row("2", "千と千尋の神隠しと猫の恩返し", "8.0")];
        let expected = "
Rank  Title                     Released
────────────────────────────────────────
   1  The Unbearable Lightnes…  1990-03-04
   2  千と千尋の神隠しと猫の…   1990-03-04";
        let expected = expected.replacen("──\n", "────\n", 1);
        assert_eq!(printed(&rows, Some(42)), expected);
        let narrow = "
Rank  Title
─────────────────
   1  The Unbear…
   2  千と千尋の…";
        assert_eq!(printed(&rows, Some(17)), narrow);
        assert!(printed(&rows, None).contains("The Unbearable Lightness of Being  1990"));
    }

    #[test]
    fn control_characters_neither_reach_the_terminal_nor_add_lines() {
        let printed = laid_out(COLUMNS, &[row("1", "\u{1b}[2JA\r\n\tB\u{202e}", "8.0")], None);
        assert_eq!(printed.lines().nth(2), Some(r"   1  \u{1b}[2JA\u{d}\u{a}\u{9}B\u{202e}  1990-03-04    8.0"));
        assert_eq!(printed.lines().count(), 3, "{printed}");
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        for (text, width, expected) in [
            ("Ame\u{301}lie", 4, "Ame\u{301}…"),
            ("👩\u{200d}👩\u{200d}👧 family", 2, "…"),
            ("איש אחד", 5, "איש…"),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, width), expected);
        }
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_terminal(titles in prop::collection::vec("\\PC{0,60}", 1..5), width in 17_usize..120) {
            let rows: Vec<_> = titles.iter().map(|title| row("1", title, "8.0")).collect();
            let printed = laid_out(COLUMNS, &rows, Some(width));
            prop_assert!(printed.lines().all(|line| line.width() <= width), "{printed}");
            prop_assert_eq!(printed.lines().count(), rows.len() + 2);
        }
    }
}
