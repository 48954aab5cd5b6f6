//! Bins: at most 32 ranges of a feature's values, and one for missing values.

use crate::accuracy::count;

/// Most bins of known values.
pub(super) const MAX_BINS: usize = 32;

/// Fewest training rows of a bin.
pub(super) const MIN_ROWS: usize = 20;

/// Code of a missing value. Known values have the codes from 1.
pub const MISSING: u8 = 0;

/// Code of a value: one more than the number of upper bounds below it. `edges` are the inclusive upper bounds of all bins
/// but the last.
pub(super) fn code(edges: &[f32], value: f32) -> u8 {
    if value.is_nan() {
        return MISSING;
    }
    // Comparing with all edges takes no branch, which makes it three times as fast as a binary search.
    1 + edges.iter().map(|edge| u8::from(*edge < value)).sum::<u8>()
}

/// Upper bounds of bins of about equal weight. Equal values are never split. `rows` are sorted by the movies' ids.
///
/// Members weigh as much as all other rows together. Otherwise all members of a list of 1,000 would be in the highest of
/// 32 bins in a catalogue of a million.
pub(super) fn edges(values: &[f32], rows: &[u32], listed: &[bool], weights: &[f64]) -> Vec<f32> {
    let of_class = |is_listed: bool| -> f64 {
        let rows = rows.iter().filter(|row| listed[**row as usize] == is_listed);
        rows.map(|row| weights[*row as usize]).sum::<f64>().max(1.0)
    };
    let scale = [0.5 / of_class(false), 0.5 / of_class(true)];
    let mut known: Vec<(f32, u32)> =
        rows.iter().map(|row| (values[*row as usize], *row)).filter(|(value, _)| !value.is_nan()).collect();
    // Rows arrive by id, and the stable sort leaves equal values so: sums do not depend on the order of adding.
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let weight = |row: u32| weights[row as usize] * scale[usize::from(listed[row as usize])];
    let total: f64 = known.iter().map(|(_, row)| weight(*row)).sum();

    let mut edges = Vec::new();
    let (mut in_bin, mut so_far, mut at_last_edge) = (0, 0.0, 0.0);
    for (at, (value, row)) in known.iter().enumerate() {
        (in_bin, so_far) = (in_bin + 1, so_far + weight(*row));
        let after = &known[at + 1..];
        let tie = after.first().is_none_or(|(next, _)| next == value);
        // Bins share what is left: after a heavy value, which takes the weight of many bins, the others are not full at once.
        let bin_weight = (total - at_last_edge) / count(MAX_BINS - edges.len());
        let full = so_far - at_last_edge >= bin_weight && in_bin >= MIN_ROWS;
        if full && !tie && after.len() >= MIN_ROWS && edges.len() + 1 < MAX_BINS {
            edges.push(*value);
            (in_bin, at_last_edge) = (0, so_far);
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_after_a_heavy_value_are_of_equal_weight() {
        let values: Vec<f32> = (0..2000_u16).map(|row| f32::from(row.saturating_sub(1000))).collect();
        let rows: Vec<u32> = (0..2000).collect();
        let edges = edges(&values, &rows, &vec![false; 2000], &vec![1.0; 2000]);
        // A thousand rows of the value 0, and 31 bins for the other thousand.
        assert_eq!((edges.len(), edges[0]), (MAX_BINS - 1, 0.0));
        assert!(edges.windows(2).all(|pair| pair[1] - pair[0] <= 34.0), "{edges:?}");
    }

    proptest! {
        #[test]
        fn bins_are_ordered_and_hold_enough_rows_without_splitting_ties(
            values in prop::collection::vec(prop_oneof![Just(f32::NAN), (0..60_u8).prop_map(f32::from)], 0..400),
        ) {
            let rows: Vec<u32> = (0..values.len()).map(|row| u32::try_from(row).unwrap()).collect();
            let listed: Vec<bool> = rows.iter().map(|row| row % 7 == 0).collect();
            let edges = edges(&values, &rows, &listed, &vec![1.0; values.len()]);
            prop_assert!(edges.len() < MAX_BINS && edges.is_sorted_by(|a, b| a < b));
            let codes: Vec<u8> = values.iter().map(|value| code(&edges, *value)).collect();
            for bin in 1..=u8::try_from(edges.len() + 1).unwrap() {
                let rows = codes.iter().map(|code| usize::from(*code == bin)).sum::<usize>();
                prop_assert!(edges.is_empty() || rows >= MIN_ROWS, "{rows} rows in bin {bin}");
            }
            prop_assert!(values.iter().zip(&codes).all(|(value, code)| value.is_nan() == (*code == MISSING)));
        }
    }
}
