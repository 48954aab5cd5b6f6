//! Reasons: what a group of features adds to the score of a learned ranking.

use async_graphql::{Enum, SimpleObject};

use crate::scoring::learned;

/// A group of features of a learned ranking. Features of a group repeat each other, so that only their sum has a meaning.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "learned::Group")]
pub(in crate::graphql) enum FeatureGroup {
    /// How the audience rates the movie.
    Audience,
    /// Critics.
    Critics,
    /// Nominations and wins.
    Awards,
    /// How well known the movie is.
    Fame,
    /// Budget and revenue.
    Money,
    /// Other movies by the directors.
    Director,
    /// Other movies of the cast.
    Cast,
    /// Other lists that the movie is on.
    Lists,
    /// Language, genres and year.
    Origin,
}

/// What a group of features adds to the score of a learned ranking.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Reason {
    /// The group.
    group: FeatureGroup,
    /// Points compared with the average movie; 10 points double the odds. Below 0 if the group speaks against the movie.
    points: f64,
    /// The fact of the group that counts most in this direction, such as "2nd best rated movie of 1993".
    sentence: String,
}

impl From<learned::Reason> for Reason {
    fn from(reason: learned::Reason) -> Self {
        Self { group: reason.group.into(), points: reason.points, sentence: reason.sentence }
    }
}
