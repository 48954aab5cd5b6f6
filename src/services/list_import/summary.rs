//! The summary of an import of a list, as printed.

use std::collections::BTreeMap;
use std::fmt;

use cinegraph_list_formats::{Format, ListFile};

use super::ImportedList;
use super::matching::{MatchKind, RowMatch, Unmatched};
use super::report::titled;
use crate::store::{ListMove, ListMoveKind};

/// Maximum number of movies that are named. A choice: a screen.
const NAMED_MAX: usize = 20;

impl ImportedList {
    /// Number of rows that were matched in this way.
    #[must_use]
    pub fn matched(&self, wanted: MatchKind) -> usize {
        self.matches.iter().filter(|found| matches!(found, RowMatch::Matched { kind, .. } if *kind == wanted)).count()
    }

    /// Number of rows that match no movie for this reason.
    #[must_use]
    pub fn unmatched(&self, wanted: Unmatched) -> usize {
        self.matches
            .iter()
            .filter(|found| matches!(found, RowMatch::Unmatched { reason, .. } if *reason == wanted))
            .count()
    }

    /// Movies that joined, left or changed their place.
    pub fn moved(&self, kind: ListMoveKind) -> impl Iterator<Item = &ListMove> {
        self.moves.iter().filter(move |moved| moved.kind == kind)
    }

    /// Number of rows that a report would name.
    #[must_use]
    pub fn reported(&self) -> usize {
        self.rows().filter(|(_, found, doubtful)| *doubtful || matches!(found, RowMatch::Unmatched { .. })).count()
    }

    /// What a person should check in the file.
    pub(crate) fn notes(&self) -> Vec<String> {
        let ListFile { missing_positions, above_header, unended_line, format, .. } = &self.file;
        let notes = [
            (*missing_positions > 0)
                .then(|| format!("{missing_positions} positions are missing between the first and the last")),
            (*above_header > 0).then(|| format!("{above_header} lines above the header are not read")),
            unended_line.map(|line| format!("the last line, {line}, has no line break: check that it is complete")),
            is_history(*format)
                .then(|| "the file names what somebody has seen, whatever they thought of it".to_owned()),
        ];
        notes.into_iter().flatten().collect()
    }

    fn count(&self, wanted: impl Fn(&RowMatch) -> bool) -> usize {
        self.matches.iter().filter(|found| wanted(found)).count()
    }
}

impl fmt::Display for ImportedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        writeln!(f, "read: {} ({}), {} rows", file.format, file.encoding, file.rows.len())?;
        skipped(f, "type", &file.other_types)?;
        skipped(f, "list", &file.other_lists)?;
        line(f, "skipped", file.comments, "that are comments, which begin with #")?;
        for note in self.notes() {
            writeln!(f, "note: {note}")?;
        }
        for kind in MatchKind::ALL {
            line(f, "matched", self.matched(kind), kind.as_str())?;
        }
        line(f, "skipped", self.count(|found| matches!(found, RowMatch::Repeated(_))), "that repeat another row")?;
        line(f, "skipped", self.count(|found| *found == RowMatch::LeftOut), "that the corrected report leaves out")?;
        for reason in Unmatched::ALL {
            line(f, "not matched", self.unmatched(reason), reason.as_str())?;
        }
        line(
            f,
            "doubtful",
            self.rows().filter(|row| row.2).count(),
            "by an id, though the title or the year is another",
        )?;
        let moved = |kind| self.moved(kind).count();
        let verb = if self.dry_run { "would be" } else { "is" };
        write!(
            f,
            "the list {verb} {} movies long: {} joined, {} left, {} changed position or edition",
            self.movies,
            moved(ListMoveKind::Joined),
            moved(ListMoveKind::Left),
            moved(ListMoveKind::Changed)
        )?;
        let left: Vec<String> = self.moved(ListMoveKind::Left).map(|movie| titled(&movie.title, movie.year)).collect();
        if !left.is_empty() {
            let more = left.len().saturating_sub(NAMED_MAX);
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            write!(f, "\nleft: {}{rest}", left.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", "))?;
        }
        if let Some(refusal) = &self.refusal {
            write!(f, "\nthe import would be refused: {refusal}")?;
        }
        Ok(())
    }
}

/// Rows that are about something else: a line for each of the first kinds.
fn skipped(f: &mut fmt::Formatter<'_>, what: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    for (name, rows) in counts.iter().take(NAMED_MAX) {
        writeln!(f, "skipped: {rows} of the {what} {name:?}")?;
    }
    let more: u64 = counts.values().skip(NAMED_MAX).sum();
    if more > 0 { writeln!(f, "skipped: {more} of other {what}s") } else { Ok(()) }
}

/// Whether a file of this format names all movies that a person has seen, rather than a choice: such a list is rarely what
/// a person wants to predict.
fn is_history(format: Format) -> bool {
    matches!(format, Format::ImdbRatings | Format::LetterboxdDiary | Format::LetterboxdRatings)
}

/// A line with a count, unless it is zero.
fn line(f: &mut fmt::Formatter<'_>, what: &str, count: usize, how: &str) -> fmt::Result {
    if count > 0 { writeln!(f, "{what}: {count} {how}") } else { Ok(()) }
}
