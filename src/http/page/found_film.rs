//! A film in search results and in the list of a person's films.

use serde::Deserialize;

use super::numbers::{one_decimal, or_dash, probability};

/// The fields of a film, for documents that declare the variables of the selected ranking.
macro_rules! with_found_film {
    ($document:literal) => {
        concat!(include_str!($document), include_str!("queries/found_film.graphql"))
    };
}
pub(super) use with_found_film;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundFilm {
    pub(super) slug: String,
    pub(super) title: String,
    original_title: Option<String>,
    pub(super) year: Option<i32>,
    decade: Option<i32>,
    prediction: Option<Prediction>,
}

#[derive(Deserialize)]
struct Prediction {
    rank: Option<usize>,
    score: f64,
    probability: Option<f64>,
    status: String,
}

impl FoundFilm {
    /// The original title, if it is another one.
    pub(super) fn other_title(&self) -> Option<&str> {
        self.original_title.as_deref().filter(|original| *original != self.title)
    }

    /// Where the film stands.
    pub(super) fn standing(&self) -> String {
        match (&self.prediction, self.decade) {
            (Some(prediction), _) if prediction.status == "LISTED" => "On the list".to_owned(),
            (Some(Prediction { rank: Some(rank), .. }), Some(decade)) => format!("Rank {rank} of the {decade}s"),
            _ => "Not ranked".to_owned(),
        }
    }

    /// The score, or the probability of a learned ranking; a dash if that is not known.
    pub(super) fn value(&self, is_learned: bool) -> String {
        match &self.prediction {
            Some(prediction) if is_learned => or_dash(prediction.probability.map(probability)),
            Some(prediction) => one_decimal(prediction.score),
            None => String::new(),
        }
    }
}
