//! Validation of one decade: how well a ranking finds the decade's listed movies.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object};

use super::movie_prediction::Movie;
use super::ranking_kind::RankingKind;
use super::validation_total::{BaselineAccuracy, Interval, ValidationTotal};
use crate::graphql::complexity;
use crate::graphql::context::{RankingParams, RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{Connection, CountFields, CursorScope, Edge, page_size};
use crate::scoring::learned::points;
use crate::scoring::{Basis, DecadeReport, MovieId, Place, Standing};

/// The basis of a validation: which scores it ranks by. Scores depend on the lists that a movie is on. If the target list
/// is one of them, the ranking already knows part of what it predicts.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
#[graphql(remote = "Basis")]
pub(in crate::graphql) enum ScoreBasis {
    /// Blind scores: computed as if it were unknown which movies are on the target list, so they do not inflate the
    /// accuracy. The default.
    #[default]
    Blind,
    /// The scores that `predictions` returns. They depend on the target list, which inflates the accuracy.
    AsPublished,
}

/// Parameters of a validation: the ranking, the list and the basis.
#[derive(Clone)]
pub(in crate::graphql) struct ValidationParams {
    pub(in crate::graphql) ranking: Arc<RankingParams>,
    pub(in crate::graphql) basis: ScoreBasis,
}

/// Accuracy of a ranking in one decade.
pub(in crate::graphql) struct DecadeValidation {
    pub(in crate::graphql) report: Arc<DecadeReport>,
    pub(in crate::graphql) params: ValidationParams,
}

impl DecadeValidation {
    fn total(&self) -> ValidationTotal {
        self.report.totals().into()
    }

    /// A page of one of the three lists of movies. `which` names the list in the scope of its cursors.
    fn page(
        &self,
        context: &RequestContext,
        which: &str,
        movies: &[ReportedMovie],
        first: i32,
        after: Option<&str>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let decade = self.report.decade.to_string();
        let basis = format!("{:?}", Basis::from(self.params.basis));
        let scope = context.cursors(&[which, &self.params.ranking.key(), &decade, &basis]);
        let is_learned = self.params.ranking.selection.model.is_some();
        page_of(movies, scope, first, after, |movie| RankedMovie { movie, is_learned })
    }

    fn hits_page(
        &self,
        context: &RequestContext,
        first: i32,
        after: Option<&str>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let movies: Vec<_> = self.report.hits.iter().copied().map(ReportedMovie::Ranked).collect();
        self.page(context, "hits", &movies, first, after)
    }

    fn missed_page(
        &self,
        context: &RequestContext,
        first: i32,
        after: Option<&str>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let missed = self.report.missed.iter().copied().map(ReportedMovie::Ranked);
        let unhittable = self.report.unhittable.iter().copied().map(ReportedMovie::Unranked);
        let movies: Vec<_> = missed.chain(unhittable).collect();
        self.page(context, "missed", &movies, first, after)
    }
}

/// How accurately a ranking predicts the target list in one decade. The ranking contains all fully imported movies of the
/// decade, those on the list as well. If N movies of the decade are on the list, the top N of the ranking count as its
/// prediction.
#[Object]
impl DecadeValidation {
    /// First year of the decade.
    async fn decade(&self) -> i32 {
        self.report.decade.year()
    }

    /// What ranked the movies: `FORMULA` also if no learned ranking of the list is served.
    async fn ranking(&self) -> RankingKind {
        self.params.ranking.ranked_by().into()
    }

    /// N: the number of movies of the decade that are on the list, fully imported or not.
    async fn listed(&self) -> usize {
        self.total().listed
    }

    /// Number of fully imported movies of the decade. The ranking contains all of them.
    async fn population(&self) -> usize {
        self.total().population
    }

    /// Number of hits: listed movies in the top N of the ranking.
    async fn hits(&self) -> usize {
        self.total().hits
    }

    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    async fn accuracy(&self) -> Option<f64> {
        self.total().accuracy
    }

    /// 95 % confidence interval of the accuracy (Wilson score interval). Null if no movie is listed.
    async fn interval(&self) -> Option<Interval> {
        self.total().interval
    }

    /// Number of hits to expect of a random ranking: N² / `population`. Null if `population` is 0.
    async fn expected_hits(&self) -> Option<f64> {
        self.total().expected_hits
    }

    /// Lift: `hits` / `expectedHits`. 1 is as good as a random ranking. Null if `expectedHits` is null or 0.
    async fn lift(&self) -> Option<f64> {
        self.total().lift
    }

    /// Accuracy of a ranking by TMDb popularity alone, for comparison; by the number of votes if the decade has no
    /// popularity. Null if no movie is listed, or the data has neither.
    async fn baseline_accuracy(&self) -> Option<f64> {
        self.total().baseline_accuracy
    }

    /// Accuracies of simple rankings, for comparison.
    async fn baselines(&self) -> Vec<BaselineAccuracy> {
        self.total().baselines
    }

    /// Number of unhittable movies: on the list, but not fully imported, so that no ranking contains them.
    async fn unhittable(&self) -> usize {
        self.total().unhittable
    }

    /// The hits: listed movies in the top N, highest score first.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn hit_movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        self.hits_page(context(ctx), first, after.as_deref())
    }

    /// The same as `hitMovies`.
    #[graphql(
        complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity",
        deprecation = "use `hitMovies`"
    )]
    async fn hit_films(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        self.hits_page(context(ctx), first, after.as_deref())
    }

    /// The misses: listed movies that are not in the top N, highest score first. Movies that are not fully imported come
    /// last.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn missed_movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        self.missed_page(context(ctx), first, after.as_deref())
    }

    /// The same as `missedMovies`.
    #[graphql(
        complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity",
        deprecation = "use `missedMovies`"
    )]
    async fn missed_films(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        self.missed_page(context(ctx), first, after.as_deref())
    }

    /// The false positives: movies in the top N that are not on the list, highest score first.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn false_positives(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let movies: Vec<_> = self.report.false_positives.iter().copied().map(ReportedMovie::Ranked).collect();
        self.page(context(ctx), "false positives", &movies, first, after.as_deref())
    }
}

/// A page of `movies`, which must be the whole list, ordered by standing. `node` converts a movie to the schema type.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid page size or cursor.
pub(in crate::graphql) fn page_of<Node: async_graphql::OutputType>(
    movies: &[ReportedMovie],
    scope: CursorScope,
    first: i32,
    after: Option<&str>,
    node: impl Fn(ReportedMovie) -> Node,
) -> Result<Connection<Node, CountFields>, ApiError> {
    let (first, after) = (page_size(first)?, scope.read(after)?);
    let start = after.map_or(0, |after| movies.partition_point(|movie| movie.standing().order(&after).is_le()));
    let page = &movies[start..movies.len().min(start + first)];
    let count = CountFields { total_count: movies.len() };
    let mut connection = Connection::with_additional_fields(start > 0, start + page.len() < movies.len(), count);
    connection.edges.extend(page.iter().map(|movie| Edge::new(scope.cursor(movie.standing()), node(*movie))));
    Ok(connection)
}

/// A movie of a validation: a hit, a miss or a false positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::graphql) enum ReportedMovie {
    /// A fully imported movie, listed or not.
    Ranked(Place),
    /// A listed movie that is not fully imported.
    Unranked(MovieId),
}

impl ReportedMovie {
    pub(in crate::graphql) fn id(self) -> MovieId {
        match self {
            Self::Ranked(place) => place.standing.id,
            Self::Unranked(id) => id,
        }
    }

    /// Sort key of the movie. An unranked movie gets the lowest score, so that it comes after all ranked movies;
    /// unranked movies are ordered by ID.
    fn standing(self) -> Standing {
        match self {
            Self::Ranked(place) => place.standing,
            Self::Unranked(id) => Standing { score: f64::NEG_INFINITY, id },
        }
    }
}

/// The schema type of a [`ReportedMovie`].
pub(in crate::graphql) struct RankedMovie {
    movie: ReportedMovie,
    /// Whether a learned ranking has ranked it.
    is_learned: bool,
}

impl RankedMovie {
    /// What the movie is ranked by.
    fn value(&self) -> Option<f64> {
        match self.movie {
            ReportedMovie::Ranked(place) => Some(place.standing.score),
            ReportedMovie::Unranked(_) => None,
        }
    }
}

/// A movie in the ranking of a validation, or a listed movie that the ranking does not contain.
#[Object]
impl RankedMovie {
    /// Rank among all fully imported movies of the decade, starting at 1. Null if the movie is not fully imported.
    async fn rank(&self) -> Option<usize> {
        match self.movie {
            ReportedMovie::Ranked(place) => Some(place.rank),
            ReportedMovie::Unranked(_) => None,
        }
    }

    /// Score on the requested basis, 0 to 100. Null if the movie is not fully imported, or a learned ranking ranks.
    async fn score(&self) -> Option<f64> {
        self.value().filter(|_| !self.is_learned)
    }

    /// Score of the learned ranking in points. Null if the formula ranks, the movie is not fully imported, or the learned
    /// ranking has not scored it yet.
    async fn learned_score(&self) -> Option<f64> {
        self.value().filter(|value| self.is_learned && *value > f64::MIN).map(points)
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.movie.id()).await
    }
}
