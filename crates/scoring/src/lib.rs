//! Pure domain: weights, decades, scores, rankings and their accuracy.
//!
//! This crate does no I/O, reads no clock, contains no `async` code and imports no other layer. Each formula is defined
//! here once. Where SQL repeats a formula, a test checks that both results are equal bit by bit.

mod accuracy;
mod columns;
mod criterion;
mod decade;
mod eras;
pub mod learned;
mod likelihood;
mod person_quality;
mod rank_bands;
mod ranking;
mod score_formula;
mod search_text;
mod title_folding;
mod validation;
mod weights;

pub use accuracy::{Accuracy, Interval};
pub use columns::{
    Codes, DecadeColumns, DecadeColumnsBuilder, MovieAttributes, MovieRow, ScoreColumns, SnapshotColumns,
    SnapshotColumnsBuilder, SnapshotRow, Titles,
};
pub use criterion::{CriteriaWithData, Criterion};
pub use decade::{Decade, DecadeError};
pub use eras::{Era, pooled_decade};
pub use likelihood::likelihood;
pub use person_quality::{PersonRecord, person_quality};
pub use rank_bands::RankBand;
pub use ranking::{Filter, Membership, Page, Place, PreferredBy, Ranking, Standing};
pub use score_formula::{Contribution, FORMULA_VERSION, Inputs, ScoreVector};
pub use search_text::{is_article, one_edit_patterns, search_key, without_article};
pub use title_folding::fold_title;
pub use validation::{Baseline, DecadeReport, Totals};
pub use weights::{Weights, WeightsError};

/// Database id of a movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct MovieId(pub i64);

impl std::fmt::Display for MovieId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The scores that a validation ranks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Scores that ignore which movies are on the target list.
    Blind,
    /// The scores as published, in which a movie gains from being on the target list.
    AsPublished,
}
