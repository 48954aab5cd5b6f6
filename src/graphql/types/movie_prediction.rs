//! Movies, predictions and people, in one file because these schema types refer to each other.

use std::sync::Arc;

use async_graphql::connection::{self, ConnectionNameType, EdgeNameType, EmptyFields};
use async_graphql::{Context, ID, MergedObject, Object, OutputType, SimpleObject};
use chrono::{Datelike, NaiveDate};
use futures_util::FutureExt;

use super::date::{Date, Timestamp};
use super::hit_rate::HitRate;
use super::movie_details::{Country, FestivalRecord, Genre, Language, ListMembership, Metric, PosterSize, Ratings};
use super::movie_links;
use super::people::{PersonFacts, in_department, role};
use super::profile::Profile;
use super::ranking_kind::RankingKind;
use super::reason::Reason;
use super::score::{CriterionStanding, PredictionStatus, ScoreContribution, ScoreSource, UnrankedReason};
use super::weights::WeightsInput;
use crate::graphql::complexity;
use crate::graphql::context::{RankingParams, RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::error_code::ErrorCode;
use crate::graphql::id::NodeId;
use crate::graphql::loaders::{
    LiveScoreOf, MovieCountries, MovieCredits, MovieDescription, MovieDirectors, MovieFestivals, MovieGenres,
    MovieMetrics,
};
use crate::graphql::pagination::{COUNT_MAX, Connection, CountFields, Edge, INVALID_CURSOR, OrderedCursor, page_size};
use crate::scoring::learned::{Explanation, points};
use crate::scoring::{Decade, MovieId, Standing, likelihood};
use crate::services::learned::LearnedScore;
use crate::services::movies::DetailKey;
use crate::services::predictions::ScoredMovie;
use crate::store::{self, ColumnsSource, FilmographyPage, MovieSearch, PersonId};

impl RequestContext {
    /// Loads a movie whose ID comes from another part of the result.
    ///
    /// # Errors
    /// `NOT_FOUND` if it was deleted in the meantime.
    pub(in crate::graphql) async fn movie(&self, id: MovieId) -> Result<Movie, ApiError> {
        self.load(id).await?.map(Movie).ok_or_else(movie_deleted)
    }

    /// The score of a single movie, computed from the base tables. Works for every movie, also for one that no decade's
    /// columns contain.
    ///
    /// # Errors
    /// `NOT_FOUND` if the movie was deleted in the meantime.
    pub(in crate::graphql) async fn live_score(&self, id: MovieId) -> Result<store::LiveScore, ApiError> {
        self.load(LiveScoreOf(id)).await?.ok_or_else(movie_deleted)
    }
}

/// A page of movies.
pub(in crate::graphql) type MovieConnection = async_graphql::connection::Connection<OrderedCursor, Movie, MovieCount>;

/// What a page of movies is part of.
pub(in crate::graphql) enum MovieCount {
    /// The movies whose folded title contains a text.
    Titled(String),
    /// The movies that a search finds.
    Found(MovieSearch),
}

/// Fields of a page of movies in addition to its movies.
#[Object]
impl MovieCount {
    /// Number of movies on all pages, counted up to 1,000: 1000 stands for 1,000 or more.
    #[graphql(complexity = "complexity::RANKING")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<usize, ApiError> {
        let movies = &context(ctx).services().movies;
        Ok(match self {
            Self::Titled(folded) => movies.titled(folded, None, COUNT_MAX).await?.len(),
            Self::Found(search) => movies.search(search, None, COUNT_MAX).await?.len(),
        })
    }
}

/// `NOT_FOUND` for a movie that existed earlier in the same operation.
fn movie_deleted() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the movie was deleted while the request ran; retry")
}

/// A movie.
pub(in crate::graphql) struct Movie(pub(crate) Arc<store::Movie>);

impl Movie {
    /// Key of the movie's details: its ID, and the decade whose data version makes the cached details stale. Without a
    /// decade, every version does.
    fn detail_key(&self) -> DetailKey<MovieId> {
        DetailKey { id: self.0.id, decade: self.0.release_date.and_then(Decade::of) }
    }

    /// What the movie is about; `None` if it was deleted in the meantime.
    async fn description(&self, ctx: &Context<'_>) -> Result<Option<Arc<store::Description>>, ApiError> {
        context(ctx).load(MovieDescription(self.detail_key())).await
    }

    /// The URL of an image of this movie; `None` without an image server.
    fn image(ctx: &Context<'_>, size: PosterSize, path: &str) -> Option<String> {
        context(ctx).services().posters.as_ref()?.image(size.directory(), path)
    }
}

/// A movie.
#[Object]
impl Movie {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::Movie(self.0.id).into()
    }

    /// TMDb ID. Null if unknown.
    async fn tmdb_id(&self) -> Option<i32> {
        self.0.tmdb_id
    }

    /// IMDb ID, such as "tt0111161". Null if unknown.
    async fn imdb_id(&self) -> Option<&str> {
        self.0.imdb_id.as_deref()
    }

    /// Readable name of the movie in URLs, such as "603-the-matrix": its TMDb ID, or else its IMDb ID, or else its global
    /// ID, and its title in plain letters. `movie(by: {slug})` finds the movie by the part before the first hyphen, so old
    /// slugs remain valid when a title changes.
    async fn slug(&self) -> String {
        movie_links::slug(&self.0)
    }

    /// Page of the movie at TMDb. Null without a TMDb ID.
    async fn tmdb_url(&self) -> Option<String> {
        movie_links::tmdb_url(&self.0)
    }

    /// Page of the movie at IMDb. Null without an IMDb ID.
    async fn imdb_url(&self) -> Option<String> {
        movie_links::imdb_url(&self.0)
    }

    /// Page of the movie at Letterboxd. Null without a TMDb ID and an IMDb ID.
    async fn letterboxd_url(&self) -> Option<String> {
        movie_links::letterboxd_url(&self.0)
    }

    /// Title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// Date of the first release. Null if unknown.
    async fn release_date(&self) -> Option<Date> {
        self.0.release_date.map(Date)
    }

    /// Year of the first release. Null if unknown.
    async fn year(&self) -> Option<i32> {
        self.0.release_date.map(|day| day.year())
    }

    /// First year of the decade of the first release, such as 1990. Null if unknown.
    async fn decade(&self) -> Option<i32> {
        self.0.release_date.and_then(Decade::of).map(Decade::year)
    }

    /// Original language, as an ISO 639-1 code such as "en". Null if unknown.
    async fn original_language(&self) -> Option<&str> {
        self.0.original_language.as_deref()
    }

    /// Original language. Null if unknown.
    async fn language(&self) -> Option<Language> {
        self.0.original_language.as_deref().map(Language::of)
    }

    /// Title in the original language. Null if unknown.
    async fn original_title(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.description(ctx).await?.and_then(|description| description.original_title.clone()))
    }

    /// Summary of the plot. Null if unknown.
    async fn overview(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.description(ctx).await?.and_then(|description| description.overview.clone()))
    }

    /// Running time in minutes. Null if unknown.
    async fn runtime(&self, ctx: &Context<'_>) -> Result<Option<i32>, ApiError> {
        Ok(self.description(ctx).await?.and_then(|description| description.runtime))
    }

    /// Path of the poster on TMDb's image server. The URL is that of the server, a size and this path, for example
    /// `https://image.tmdb.org/t/p/w342` and the path. Null if unknown.
    async fn poster_path(&self) -> Option<&str> {
        self.0.poster_path.as_deref()
    }

    /// URL of the poster. Null if there is none, or if the operator has set no image server.
    async fn poster_url(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Size of the poster", default_with = "PosterSize::W342")] size: PosterSize,
    ) -> Option<String> {
        Self::image(ctx, size, self.0.poster_path.as_deref()?)
    }

    /// Path of a wide picture of the movie on TMDb's image server, used like `posterPath`. Null if unknown.
    async fn backdrop_path(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.description(ctx).await?.and_then(|description| description.backdrop_path.clone()))
    }

    /// Directors, in the order of their credits.
    async fn directors(&self, ctx: &Context<'_>) -> Result<Vec<Person>, ApiError> {
        let directors = context(ctx).load(MovieDirectors(self.detail_key())).await?;
        let decade = self.detail_key().decade;
        Ok(directors.iter().flat_map(|all| all.iter()).map(|person| Person::credited(person, decade)).collect())
    }

    /// Genres, ordered by name.
    async fn genres(&self, ctx: &Context<'_>) -> Result<Vec<Genre>, ApiError> {
        let genres = context(ctx).load(MovieGenres(self.detail_key())).await?;
        Ok(map_loaded(genres))
    }

    /// Production countries, ordered by code.
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<Country>, ApiError> {
        let countries = context(ctx).load(MovieCountries(self.detail_key())).await?;
        Ok(map_loaded(countries))
    }

    /// Lists that contain the movie, ordered by key.
    async fn lists(&self, ctx: &Context<'_>) -> Result<Vec<ListMembership>, ApiError> {
        // Boxed for the reason given at `RequestContext::load`.
        let names = &context(ctx).reference().boxed().await?.lists;
        Ok(self.0.lists.iter().map(|membership| ListMembership::of(membership, names)).collect())
    }

    /// External ratings and other metrics, ordered by source and type.
    async fn metrics(&self, ctx: &Context<'_>) -> Result<Vec<Metric>, ApiError> {
        let metrics = context(ctx).load(MovieMetrics(self.detail_key())).await?;
        Ok(map_loaded(metrics))
    }

    /// Ratings by source.
    async fn ratings(&self, ctx: &Context<'_>) -> Result<Ratings, ApiError> {
        let metrics = context(ctx).load(MovieMetrics(self.detail_key())).await?;
        Ok(Ratings::of(metrics.as_ref().map_or(&[][..], |metrics| metrics.as_slice())))
    }

    /// Award nominations and wins of the movie.
    async fn festivals(&self, ctx: &Context<'_>) -> Result<FestivalRecord, ApiError> {
        let entries = context(ctx).load(MovieFestivals(self.detail_key())).await?;
        Ok(FestivalRecord::of(map_loaded(entries)))
    }

    /// Credited people, each once: directors, then the cast in billing order, then the rest of the crew.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn people(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of people, 1 to 100", default = 10)] first: i32,
    ) -> Result<Vec<CreditedPerson>, ApiError> {
        let first = page_size(first)?;
        let credits = context(ctx).load(MovieCredits(self.detail_key())).await?;
        let credits = credits.as_ref().map_or(&[][..], |credits| credits.as_slice());
        Ok(CreditedPerson::of(credits, self.detail_key().decade, first))
    }

    /// Cast and crew credits: directors, then the cast in billing order, then the rest of the crew.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only credits of this department, such as Directing or Acting")] department: Option<String>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<Connection<Credit, CountFields>, ApiError> {
        let first = page_size(first)?;
        // `*` stands for all departments: no department has this name.
        let scope_of = [&self.0.id.to_string(), department.as_deref().unwrap_or("*")];
        let cursors = context(ctx).cursors(&["credits", scope_of[0], scope_of[1]]);
        let after = cursors.read(after.as_deref())?;
        let credits = context(ctx).load(MovieCredits(self.detail_key())).await?;
        let wanted = |credit: &&store::Credit| department.as_deref().is_none_or(|name| in_department(credit, name));
        let credits: Vec<_> = credits.iter().flat_map(|credits| credits.iter()).filter(wanted).cloned().collect();
        // Credits have no score. A cursor holds the credit's position in the filtered list instead of an ID.
        let standing = |place: usize| Standing { score: 0.0, id: MovieId(i64::try_from(place).unwrap_or(i64::MAX)) };
        let decade = self.detail_key().decade;
        let start = after.map_or(0, |after| usize::try_from(after.id.0).map_or(0, |place| place + 1));
        let total_count = credits.len();
        let page = credits.into_iter().enumerate().skip(start).take(first);
        let has_next = start.saturating_add(first) < total_count;
        let mut connection = Connection::with_additional_fields(start > 0, has_next, CountFields { total_count });
        connection
            .edges
            .extend(page.map(|(place, credit)| Edge::new(cursors.cursor(standing(place)), Credit { credit, decade })));
        Ok(connection)
    }

    /// Score and rank of the movie for a target list. Null only if an entry of `errors` says why.
    #[graphql(complexity = "complexity::RANK + child_complexity")]
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Option<Result<Prediction, ApiError>> {
        let context = context(ctx);
        let predict = async {
            let params = context.ranking_params(profile, weights, list, ranking.into()).await?;
            Prediction::of_movie(context, &self.0, Arc::new(params)).await
        };
        // Never `None`. The field is nullable so that an error makes only this field null, and not the whole movie.
        // Boxed for the reason given at `RequestContext::load`.
        Some(predict.boxed().await)
    }
}

/// Converts loaded details to schema types. Empty if the loader found none.
fn map_loaded<T, U: for<'a> From<&'a T>>(loaded: Option<Arc<Vec<T>>>) -> Vec<U> {
    loaded.iter().flat_map(|values| values.iter()).map(U::from).collect()
}

/// A page of predictions.
pub(in crate::graphql) type PredictionConnection = Connection<Prediction, RankingFields>;

/// Fields of a page of predictions in addition to its movies.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RankingFields {
    /// Key of the target list.
    pub(in crate::graphql) list: String,
    /// First year of the decade.
    pub(in crate::graphql) decade: i32,
    /// Number of movies on all pages: of those that match the filter, if there is one.
    pub(in crate::graphql) total_count: usize,
    /// Version of the decade's data, a number that every change raises. If two pages have different versions, scores
    /// have changed in between; those of a learned ranking change with `modelVersion` too. Comparable for the same decade
    /// only, and as long as the database is the same: after a
    /// restore, or a failover that lost changes, it may be lower.
    pub(in crate::graphql) data_version: i64,
    /// When the scores of this page were read.
    pub(in crate::graphql) as_of: Timestamp,
    /// What ranked the movies: `FORMULA` also if no learned ranking of the list is served.
    pub(in crate::graphql) ranking: RankingKind,
    /// Version of the learned ranking. Null for `FORMULA`.
    pub(in crate::graphql) model_version: Option<i64>,
}

/// Score and rank of one movie for one list under one set of weights.
pub(in crate::graphql) struct Prediction {
    scored: ScoredMovie,
    /// Why the movie has no rank. `None` if it has one, if the cached columns of its decade do not contain it yet, or if it
    /// has left the decade, in a live update.
    unranked: Option<UnrankedReason>,
    params: Arc<RankingParams>,
}

impl Prediction {
    /// The prediction of a movie that its decade's columns contain: a candidate, or a listed movie, which has no rank.
    pub(in crate::graphql) fn ranked(scored: ScoredMovie, params: Arc<RankingParams>) -> Self {
        let unranked = scored.listed.then_some(UnrankedReason::Listed);
        Self { scored, unranked, params }
    }

    /// The prediction of any movie: from its decade's columns if they contain it, otherwise computed from the base
    /// tables and without a rank.
    ///
    /// # Errors
    /// `NOT_FOUND` if the movie was deleted in the meantime, and the errors of the database.
    pub(in crate::graphql) async fn of_movie(
        context: &RequestContext,
        movie: &store::Movie,
        params: Arc<RankingParams>,
    ) -> Result<Self, ApiError> {
        if let Some(decade) = movie.release_date.and_then(Decade::of) {
            let predictions = &context.services().predictions;
            let scored = predictions.movie(movie.id, decade, &params.list, &params.selection.ranked_by()).await?;
            if let Some(scored) = scored {
                return Ok(Self::ranked(scored, params));
            }
        }
        let live = context.live_score(movie.id).await?;
        let listed = live.list_keys.contains(&params.list);
        let unranked = if !live.full {
            Some(UnrankedReason::NotFull)
        } else if live.release_date.and_then(Decade::of).is_none() {
            Some(UnrankedReason::NoReleaseDate)
        } else {
            let is_new = params.selection.model.is_some().then_some(UnrankedReason::NotScored);
            if listed { Some(UnrankedReason::Listed) } else { is_new }
        };
        let scored = ScoredMovie {
            id: movie.id,
            rank: None,
            score: live.vector.score(params.selection.weights),
            learned: None,
            vector: live.vector,
            listed,
            coverage: live.coverage,
            computed_at: live.computed_at,
            source: ColumnsSource::DirectQuery,
        };
        Ok(Self { scored, unranked, params })
    }
}

impl Prediction {
    /// The prediction of a movie under the ranking with this key; `None` if there is no such movie or ranking.
    ///
    /// # Errors
    /// Those of [`Prediction::of_movie`].
    pub(in crate::graphql) async fn find(
        context: &RequestContext,
        id: MovieId,
        ranking: &str,
    ) -> Result<Option<Self>, ApiError> {
        let Some(params) = context.ranking_of(ranking).await? else { return Ok(None) };
        match context.load(id).await? {
            Some(movie) => Self::of_movie(context, &movie, Arc::new(params)).boxed().await.map(Some),
            None => Ok(None),
        }
    }

    /// Explains the score of the learned ranking; `None` if the formula ranks, or the model is gone.
    async fn explanation(&self, context: &RequestContext) -> Result<Option<Explanation>, ApiError> {
        let Some(learned) = &self.scored.learned else { return Ok(None) };
        let movie = context.movie(self.scored.id).await?.0;
        let names = &context.reference().await?.lists;
        Ok(context.services().learned.explain(learned, &movie, names).await?)
    }
}

/// Where a movie stands among the movies of its decade.
#[derive(SimpleObject)]
pub(in crate::graphql) struct DecadeStanding {
    /// The movie directly before it: among the candidates by rank, or among the listed movies by score. Null if it is the
    /// first.
    previous: Option<Prediction>,
    /// The movie directly after it. Null if it is the last.
    next: Option<Prediction>,
    /// How it compares in each criterion, in the order of `Criterion`.
    criteria: Vec<CriterionStanding>,
}

/// Score and rank of one movie for a target list, under one set of weights.
#[Object]
impl Prediction {
    /// Global ID: the same for the same movie, list, weights and ranking.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::Prediction(self.scored.id, self.params.key()).into()
    }

    /// Rank among all candidates of the decade, starting at 1. A filter does not change it. Null if the movie has no
    /// rank: `unranked` says why.
    async fn rank(&self) -> Option<usize> {
        self.scored.rank
    }

    /// Why the movie has no rank. Null if it has one. Also null if the movie is so new in the decade that the cached
    /// ranking does not contain it yet, and in an update of kind `LEFT` about a movie that left the decade.
    async fn unranked(&self) -> Option<UnrankedReason> {
        self.unranked
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.scored.id).await
    }

    /// Score from 0 to 100, unrounded: the sum of the contributions in `breakdown`, up to rounding errors.
    async fn score(&self) -> f64 {
        self.scored.score
    }

    /// The score converted to the scale that is shown to users, 0 to 100. Not a probability.
    async fn likelihood(&self) -> f64 {
        likelihood(self.scored.score)
    }

    /// How often movies with the rank of this one were on the list in past decades: an estimate of its chance. The rank is
    /// that among all movies of its decade, so it may be lower than `rank`, which is among the candidates. The decade of
    /// the movie itself does not count. Null if the movie has no rank or was released before 1920, no past decade has as many
    /// movies, or the list is no target list with blind scores.
    async fn historical_hit_rate(&self, ctx: &Context<'_>) -> Result<Option<HitRate>, ApiError> {
        let Some(rank) = self.scored.rank else { return Ok(None) };
        let context = context(ctx);
        let Some(decade) = context.movie(self.scored.id).await?.0.release_date.and_then(Decade::of) else {
            return Ok(None);
        };
        let rates = context.load(self.params.hit_rates(decade)).await?;
        Ok(rates.and_then(|rates| rates.of(&self.scored.standing(), rank)).map(Into::into))
    }

    /// Score of the learned ranking in points, of which 10 double the odds: `learnedBase` and the points of all `reasons`.
    /// Null if the formula ranks, or if the movie was not scored by the learned ranking yet.
    async fn learned_score(&self) -> Option<f64> {
        self.scored.learned.as_ref().map(|learned| points(learned.log_odds))
    }

    /// Points of the average movie in the learned ranking of the decade.
    async fn learned_base(&self, ctx: &Context<'_>) -> Result<Option<f64>, ApiError> {
        Ok(self.explanation(context(ctx)).boxed().await?.map(|explanation| explanation.base))
    }

    /// Probability from 0 to 1 that the movie is on the list, calibrated on other decades. Null if the formula ranks, or if
    /// fewer than 4 groups of features are known of the movie.
    async fn probability(&self) -> Option<f64> {
        self.scored.learned.as_ref().and_then(LearnedScore::probability)
    }

    /// What each group of features adds to `learnedScore`, the strongest first. Null if the formula ranks.
    async fn reasons(&self, ctx: &Context<'_>) -> Result<Option<Vec<Reason>>, ApiError> {
        let explanation = self.explanation(context(ctx)).boxed().await?;
        Ok(explanation.map(|explanation| explanation.reasons.into_iter().map(Reason::from).collect()))
    }

    /// Number of groups of features of which something is known about the movie. Null if the formula ranks.
    async fn known_groups(&self) -> Option<u8> {
        self.scored.learned.as_ref().map(|learned| learned.known_groups)
    }

    /// Number of groups of features of the learned ranking. Null if the formula ranks.
    async fn total_groups(&self) -> Option<u8> {
        self.scored.learned.as_ref().map(|learned| learned.total_groups)
    }

    /// Version of the learned ranking. Null if the formula ranks.
    async fn model_version(&self) -> Option<i64> {
        self.scored.learned.as_ref().map(|learned| learned.version)
    }

    /// Contributions of the five criteria to the score, in the order of `Criterion`.
    async fn breakdown(&self) -> Vec<ScoreContribution> {
        self.scored.vector.breakdown(self.params.selection.weights).map(Into::into).into()
    }

    /// Where the movie stands among the movies of its decade. Null if the ranking of the decade does not contain it.
    #[graphql(complexity = "complexity::RANK + child_complexity")]
    async fn standing(&self, ctx: &Context<'_>) -> Result<Option<DecadeStanding>, ApiError> {
        let (context, params) = (context(ctx), &self.params);
        let standing = async {
            let movie = context.movie(self.scored.id).await?.0;
            let Some(decade) = movie.release_date.and_then(Decade::of) else { return Ok(None) };
            let predictions = &context.services().predictions;
            predictions
                .standing(movie.id, decade, &params.list, &params.selection.ranked_by())
                .await
                .map_err(ApiError::from)
        };
        // Boxed for the reason given at `RequestContext::load`.
        let Some(standing) = standing.boxed().await? else { return Ok(None) };
        let neighbour = |scored| Self::ranked(scored, Arc::clone(params));
        Ok(Some(DecadeStanding {
            previous: standing.previous.map(neighbour),
            next: standing.next.map(neighbour),
            criteria: CriterionStanding::all(standing.lower_shares),
        }))
    }

    /// Whether the movie is on the target list.
    async fn status(&self) -> PredictionStatus {
        if self.scored.listed { PredictionStatus::Listed } else { PredictionStatus::Candidate }
    }

    /// How many of the four ratings are known, 0 to 4: TMDb, IMDb, Metacritic, Rotten Tomatoes. The score counts a
    /// missing rating as 0, and a rating of 0 counts as missing here.
    async fn coverage(&self) -> u8 {
        self.scored.coverage
    }

    /// When the criteria were computed.
    async fn computed_at(&self) -> Timestamp {
        Timestamp(self.scored.computed_at)
    }

    /// Where the values of the criteria come from.
    async fn source(&self) -> ScoreSource {
        self.scored.source.into()
    }

    /// Profile whose weights were used. Null for custom weights.
    async fn profile(&self) -> Option<Profile> {
        self.params.selection.profile.clone().map(Profile)
    }
}

/// A person and their roles in a movie.
#[derive(SimpleObject)]
struct CreditedPerson {
    /// The person.
    person: Person,
    /// Jobs and characters of the person in this movie. For an unknown one: "Cast", the department or "Crew".
    roles: Vec<String>,
}

impl CreditedPerson {
    /// The first people of these credits, at most `limit`, each once and with all their roles. `decade` is that of the
    /// movie.
    fn of(credits: &[store::Credit], decade: Option<Decade>, limit: usize) -> Vec<Self> {
        let mut people: Vec<Self> = Vec::new();
        for credit in credits {
            let role = role(credit);
            if let Some(known) = people.iter_mut().find(|known| known.person.1.0 == credit.person.id) {
                known.roles.push(role);
            } else if people.len() < limit {
                people.push(Self { person: Person::credited(&credit.person, decade), roles: vec![role] });
            }
        }
        people
    }
}

/// One role of one person in one movie.
pub(in crate::graphql) struct Credit {
    credit: store::Credit,
    /// Decade of the movie.
    decade: Option<Decade>,
}

/// One role of one person in one movie.
#[Object]
impl Credit {
    /// Unique ID of the credit; TMDb's if the credit comes from TMDb.
    async fn credit_id(&self) -> &str {
        &self.credit.credit_id
    }

    /// The person.
    async fn person(&self) -> Person {
        Person::credited(&self.credit.person, self.decade)
    }

    /// True for cast, false for crew.
    async fn cast(&self) -> bool {
        self.credit.cast
    }

    /// Department; "Acting" for the cast. Null if unknown.
    async fn department(&self) -> Option<&str> {
        self.credit.department.as_deref().or(self.credit.cast.then_some("Acting"))
    }

    /// Job. Null for the cast, and if unknown.
    async fn job(&self) -> Option<&str> {
        self.credit.job.as_deref()
    }

    /// Character. Null for the crew, and if unknown.
    async fn character(&self) -> Option<&str> {
        self.credit.character.as_deref()
    }
}

/// A member of the cast or crew of movies.
#[derive(MergedObject)]
pub(in crate::graphql) struct Person(PersonFacts, Filmography);

impl Person {
    /// The person with this ID; `None` if there is none.
    pub(in crate::graphql) async fn find(context: &RequestContext, id: PersonId) -> Result<Option<Self>, ApiError> {
        Ok(PersonFacts::find(context, id).await?.map(|facts| Self(facts, Filmography(id))))
    }

    /// A person with a credit of a movie of this decade.
    fn credited(person: &store::Person, decade: Option<Decade>) -> Self {
        Self(PersonFacts::credited(person, decade), Filmography(person.id))
    }

    /// Global ID. The interface `Node` calls it so; of a type that is not merged, the method is generated.
    #[expect(clippy::unused_async, reason = "the interface awaits it")]
    pub(in crate::graphql) async fn id(&self, _: &Context<'_>) -> Result<ID, ApiError> {
        Ok(NodeId::Person(self.1.0).into())
    }
}

/// The movies of a person.
struct Filmography(PersonId);

/// The movies of a person.
#[Object]
impl Filmography {
    /// Movies of the person, the latest first. Undated ones come last.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<FilmographyConnection, ApiError> {
        let (context, person) = (context(ctx), self.0);
        let cursors = context.cursors(&["movies of a person", &person.0.to_string()]);
        let (first, after) = (page_size(first)?, cursors.place(after.as_deref(), MovieId)?);
        let after = match after {
            // Of an undated movie.
            Some((day, id)) if day.is_empty() => Some((None, id)),
            Some((day, id)) => {
                let day = day.parse().ok().filter(|day: &NaiveDate| (1..=9999).contains(&day.year()));
                Some((Some(day.ok_or_else(|| ApiError::bad_input("after", INVALID_CURSOR))?), id))
            }
            None => None,
        };
        let page = FilmographyPage { person, after, size: first + 1 };
        let mut found = context.load(page).await?.unwrap_or_default();
        let has_next = found.len() > first;
        found.truncate(first);
        let edges = found.into_iter().map(|(day, id)| async move {
            let order = day.map_or_else(String::new, |day| day.to_string());
            let cursor = OrderedCursor { scope: cursors, order, id: id.0 };
            // A movie that was deleted in the meantime is left out.
            let movie = context.load(id).await?.map(Movie);
            Ok::<_, ApiError>(movie.map(|movie| {
                let fields = FilmographyEdgeFields { person, movie: movie.detail_key() };
                connection::Edge::with_additional_fields(cursor, movie, fields)
            }))
        });
        let mut connection = FilmographyConnection::new(after.is_some(), has_next);
        connection.edges = futures_util::future::try_join_all(edges).await?.into_iter().flatten().collect();
        Ok(connection)
    }
}

/// The movies of a person.
type FilmographyConnection = connection::Connection<
    OrderedCursor,
    Movie,
    EmptyFields,
    FilmographyEdgeFields,
    FilmographyConnectionName,
    FilmographyEdgeName,
>;

/// Name of the connection type: that of the node type is taken by searches, whose edges have no roles.
struct FilmographyConnectionName;

impl ConnectionNameType for FilmographyConnectionName {
    fn type_name<T: OutputType>() -> String {
        "FilmographyConnection".to_owned()
    }
}

/// Name of the edge type.
struct FilmographyEdgeName;

impl EdgeNameType for FilmographyEdgeName {
    fn type_name<T: OutputType>() -> String {
        "FilmographyEdge".to_owned()
    }
}

/// What a person did in a movie.
struct FilmographyEdgeFields {
    person: PersonId,
    movie: DetailKey<MovieId>,
}

/// What a person did in a movie.
#[Object]
impl FilmographyEdgeFields {
    /// Jobs and characters of the person in this movie. For an unknown one: "Cast", the department or "Crew".
    #[graphql(complexity = "complexity::SUBLIST")]
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<String>, ApiError> {
        let credits = context(ctx).load(MovieCredits(self.movie)).await?;
        let credits = credits.as_ref().map_or(&[][..], |credits| credits.as_slice());
        Ok(credits.iter().filter(|credit| credit.person.id == self.person).map(role).collect())
    }
}
