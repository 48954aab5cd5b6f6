//! The query root.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object, OneofObject, connection};

use super::catalogue::{DataOrigin, MovieList, ServiceStatus};
use super::connection::{CursorScope, Edge, RankingFields, TitleCursor, page_size};
use super::context::{RankingParams, RequestContext, context};
use super::error::ApiError;
use super::filter::PredictionFilter;
use super::id::NodeId;
use super::metrics::GraphqlMetrics;
use super::movie::{Country, Genre, Movie, MovieConnection, Person};
use super::prediction::{Prediction, PredictionConnection, WeightsInput};
use super::profile::Profile;
use super::validation::{DecadeValidation, ProfileComparison, ScoreBasis, Validation, ValidationParams};
use crate::cache::{DependencyScope, ReadMode};
use crate::scoring::{Decade, Filter};
use crate::services::ServiceError;
use crate::services::predictions::{ListStatus, PageRequest};
use crate::store::MovieKey;
use crate::telemetry::Status;

/// Maximum number of IDs in `nodes`.
const MAX_NODE_IDS: usize = 100;

/// Instruments a root field of a query. Not async, because that would store each resolver's future twice.
fn root<T>(
    ctx: &Context<'_>,
    resolve: impl Future<Output = Result<T, ApiError>>,
) -> impl Future<Output = Result<T, ApiError>> {
    instrument_field("Query", ctx, resolve)
}

/// Instruments a root field: records one span, one duration and one outcome, even if the client disconnects.
pub(super) async fn instrument_field<T>(
    of_type: &str,
    ctx: &Context<'_>,
    resolve: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    use tracing::Instrument;

    let metrics = ctx.data_unchecked::<GraphqlMetrics>();
    let field = metrics.field_name(ctx.field().name());
    // Background refreshes execute root fields as well and must not count as requests.
    let is_request = DependencyScope::current().is_none_or(|scope| scope.mode() == ReadMode::Request);
    let measured = is_request.then(|| metrics.field(field));
    let span = tracing::info_span!(
        "resolve",
        otel.name = format!("resolve {of_type}.{field}"),
        graphql.processing.r#type = "resolve",
        graphql.field.schema_coordinate = format!("{of_type}.{field}"),
    );
    let result = Box::pin(resolve).instrument(span).await;
    if let Some(measured) = measured {
        measured.finish(if result.is_ok() { Status::Ok } else { Status::Error });
    }
    result
}

/// Identifies a movie by exactly one of its IDs.
#[derive(OneofObject)]
enum MovieBy {
    /// Global ID.
    Id(ID),
    /// TMDb ID.
    TmdbId(i32),
    /// IMDb ID, such as "tt0111161".
    ImdbId(String),
}

impl MovieBy {
    /// The movie; `None` if it does not exist.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a malformed ID.
    async fn find(self, context: &RequestContext) -> Result<Option<Movie>, ApiError> {
        let key = match self {
            Self::Id(id) => MovieKey::Id(NodeId::movie(&id, "by.id")?),
            Self::TmdbId(id) if id < 0 => return Err(ApiError::bad_input("by.tmdbId", "is negative")),
            Self::TmdbId(id) => MovieKey::Tmdb(id),
            Self::ImdbId(id) if id.contains('\0') => return Ok(None),
            Self::ImdbId(id) => MovieKey::Imdb(id),
        };
        match context.services().movies.movie_id(&key).await? {
            Some(id) => Ok(context.load(id).await?.map(Movie)),
            None => Ok(None),
        }
    }
}

/// An object with a global ID.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Global ID"))]
pub(super) enum Node {
    Movie(Movie),
    Person(Person),
    Profile(Profile),
}

impl Node {
    /// The object with a global ID; `None` if it does not exist.
    async fn find(context: &RequestContext, id: &ID) -> Result<Option<Self>, ApiError> {
        match NodeId::read(id) {
            Some(NodeId::Movie(id)) => Ok(context.load(id).await?.map(|movie| Self::Movie(Movie(movie)))),
            Some(NodeId::Profile(id)) => {
                let profile = context.profiles().await?.iter().find(|profile| profile.id == id);
                Ok(profile.cloned().map(|profile| Self::Profile(Profile(profile))))
            }
            Some(NodeId::Person(id)) => Ok(Person::find(context, id).await?.map(Self::Person)),
            None => Ok(None),
        }
    }
}

/// Read-only queries.
pub struct Query;

/// Read-only queries.
#[Object]
impl Query {
    /// Candidates of a decade, most likely to join the target list first. Candidates are the fully imported movies
    /// (`import_status` = `full`: complete enough to be ranked) that are not on the list.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn predictions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "Restricts the results. Ranks do not depend on it")] filter: Option<PredictionFilter>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<PredictionConnection, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let params = context.ranking_params(profile, weights, list).await?;
            let filter = filter.unwrap_or_default().resolve(context).await?;
            ranking_page(context, params, decade, ListStatus::Candidates, filter, first, after.as_deref()).await
        })
        .await
    }

    /// Score and rank of one movie, whether on the target list or not. Null if the movie does not exist.
    #[graphql(complexity = "5 + child_complexity")]
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Identifies the movie")] by: MovieBy,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
    ) -> Option<Result<Prediction, ApiError>> {
        let context = context(ctx);
        root(ctx, async {
            let params = Arc::new(context.ranking_params(profile, weights, list).await?);
            match by.find(context).await? {
                Some(movie) => Prediction::of_movie(context, &movie.0, params).await.map(Some),
                None => Ok(None),
            }
        })
        .await
        .transpose()
    }

    /// Confirmed additions: fully imported movies of a decade that are already on the target list, highest score first.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn confirmed_additions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<PredictionConnection, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let params = context.ranking_params(profile, weights, list).await?;
            ranking_page(context, params, decade, ListStatus::Listed, Filter::default(), first, after.as_deref()).await
        })
        .await
    }

    /// Accuracy of the ranking for all decades before the 2020s: the share of a decade's N listed movies that are in
    /// the ranking's top N.
    #[graphql(complexity = "100 + child_complexity")]
    async fn validation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "Whether the list's own labels count in the scores", default)] basis: ScoreBasis,
    ) -> Result<Validation, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let params = Arc::new(context.ranking_params(profile, weights, list).await?);
            let services = context.services();
            let report = services.validation.of_all(&params.list, params.for_validation(), basis.into()).await?;
            Ok(Validation { report, tested: ValidationParams { params, basis } })
        })
        .await
    }

    /// Accuracy of the ranking for one decade.
    #[graphql(complexity = "20 + child_complexity")]
    async fn decade_validation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990")] decade: i32,
        #[graphql(desc = "Whether the list's own labels count in the scores", default)] basis: ScoreBasis,
    ) -> Result<DecadeValidation, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            let params = Arc::new(context.ranking_params(profile, weights, list).await?);
            let (services, weights) = (context.services(), params.for_validation());
            let report = services.validation.of_decade(&params.list, decade, weights, basis.into()).await?;
            Ok(DecadeValidation { report, tested: ValidationParams { params, basis } })
        })
        .await
    }

    /// All active profiles, ordered by the accuracy of their rankings.
    #[graphql(complexity = "400 + 10 * child_complexity")]
    async fn profile_comparison(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "Whether the list's own labels count in the scores", default)] basis: ScoreBasis,
    ) -> Result<ProfileComparison, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let list = context.list(list).await?;
            let active: Vec<_> = context.profiles().await?.iter().filter(|profile| profile.active).cloned().collect();
            let reports = context.services().validation.compare(&list, active, basis.into()).await?;
            Ok(ProfileComparison { reports, list, basis })
        })
        .await
    }

    /// Weight profiles, ordered by name.
    #[graphql(complexity = "10 * child_complexity")]
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether to omit inactive profiles", default = true)] active_only: bool,
    ) -> Result<Vec<Profile>, ApiError> {
        root(ctx, async {
            let profiles = context(ctx).profiles().await?.iter();
            Ok(profiles.filter(|profile| profile.active || !active_only).cloned().map(Profile).collect())
        })
        .await
    }

    /// The weight profile with this name. Null if it does not exist.
    async fn profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the profile")] name: String,
    ) -> Option<Result<Profile, ApiError>> {
        root(ctx, async {
            let profiles = context(ctx).profiles().await?;
            Ok(profiles.iter().find(|profile| profile.name == name).cloned().map(Profile))
        })
        .await
        .transpose()
    }

    /// One movie. Null if it does not exist.
    async fn movie(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Identifies the movie")] by: MovieBy,
    ) -> Option<Result<Movie, ApiError>> {
        root(ctx, by.find(context(ctx))).await.transpose()
    }

    /// Movies whose title contains a text, ordered by title.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Text in the title, case-insensitive, 1 to 200 characters")] title_contains: String,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<MovieConnection, ApiError> {
        let context = context(ctx);
        root(ctx, search(context, &title_contains, first, after.as_deref())).await
    }

    /// All lists, ordered by key, with movie counts by decade.
    #[graphql(complexity = "50 + 10 * child_complexity")]
    async fn lists(&self, ctx: &Context<'_>) -> Result<Vec<MovieList>, ApiError> {
        let context = context(ctx);
        root(ctx, async {
            let lists = context.services().reference.list_summaries().await?;
            Ok(lists.iter().map(Into::into).collect())
        })
        .await
    }

    /// All genres, ordered by name.
    #[graphql(complexity = "20 * child_complexity")]
    async fn genres(&self, ctx: &Context<'_>) -> Result<Vec<Genre>, ApiError> {
        let context = context(ctx);
        root(ctx, async { Ok(context.reference().await?.genres.iter().map(Into::into).collect()) }).await
    }

    /// All countries that produced a movie, ordered by code.
    #[graphql(complexity = "20 * child_complexity")]
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<Country>, ApiError> {
        let context = context(ctx);
        root(ctx, async { Ok(context.reference().await?.countries.iter().map(Into::into).collect()) }).await
    }

    /// Origin of the movies. If it is `GENERATED`, tell your users that the movies do not exist.
    async fn data_origin(&self, ctx: &Context<'_>) -> Result<DataOrigin, ApiError> {
        let context = context(ctx);
        root(ctx, async { Ok(context.services().reference.data_origin().await?.into()) }).await
    }

    /// Service version and data freshness.
    async fn status(&self, ctx: &Context<'_>) -> Result<ServiceStatus, ApiError> {
        let context = context(ctx);
        root(ctx, async { Ok(context.services().status.now().await?.into()) }).await
    }

    /// The movie, person or profile with a global ID. Null if it does not exist.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Global ID")] id: ID) -> Option<Result<Node, ApiError>> {
        root(ctx, Node::find(context(ctx), &id)).await.transpose()
    }

    /// Movies, people and profiles by global ID, in the order of `ids`. An entry is null if its object does not exist.
    #[graphql(complexity = "ids.len().min(100) * child_complexity")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global IDs, at most 100")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, ApiError> {
        root(ctx, async {
            if ids.len() > MAX_NODE_IDS {
                return Err(ApiError::bad_input(
                    "ids",
                    format!("has {} ids, expected {MAX_NODE_IDS} at most", ids.len()),
                ));
            }
            futures_util::future::try_join_all(ids.iter().map(|id| Node::find(context(ctx), id))).await
        })
        .await
    }
}

/// A page of movies whose title contains `contains`.
async fn search(
    context: &RequestContext,
    contains: &str,
    first: i32,
    after: Option<&str>,
) -> Result<MovieConnection, ApiError> {
    if contains.is_empty() {
        return Err(ApiError::bad_input("titleContains", "is empty"));
    }
    super::filter::text("titleContains", Some(contains))?;
    let (first, cursors) = (page_size(first)?, CursorScope::of(&["titles", &contains.to_lowercase()]));
    let after: Option<TitleCursor> = after.map(|after| cursors.read_title(after)).transpose()?;
    let has_previous = after.is_some();
    let after = after.map(|after| (after.title, after.id));
    let mut found = context.services().movies.titled(contains, after.as_ref(), first + 1).await?;
    let has_next = found.len() > first;
    found.truncate(first);
    let mut connection = MovieConnection::new(has_previous, has_next);
    let movies = found.into_iter().map(|(title, id)| async move {
        let movie = context.movie(id).await?;
        Ok::<_, ApiError>(connection::Edge::new(TitleCursor { scope: cursors, title, id }, movie))
    });
    connection.edges = futures_util::future::try_join_all(movies).await?;
    Ok(connection)
}

/// A page of a decade's candidates or listed movies.
async fn ranking_page(
    context: &RequestContext,
    params: RankingParams,
    decade: i32,
    status: ListStatus,
    filter: Filter,
    first: i32,
    after: Option<&str>,
) -> Result<PredictionConnection, ApiError> {
    let decade = Decade::starting(decade).map_err(ServiceError::from)?;
    let cursors =
        CursorScope::of(&[&format!("{status:?}"), &params.key(), &decade.to_string(), &format!("{filter:?}")]);
    let request = PageRequest {
        list: params.list.clone(),
        decade,
        weights: params.selection.weights,
        custom: params.custom,
        status,
        filter,
        after: cursors.read(after)?,
        first: page_size(first)?,
    };
    let page = context.services().predictions.page(request).await?;
    let fields = RankingFields { total_count: page.total, data_version: page.data_version, as_of: page.as_of };
    let mut connection = PredictionConnection::with_additional_fields(page.has_previous, page.has_next, fields);
    let params = Arc::new(params);
    connection.edges.extend(page.movies.into_iter().map(|scored| {
        let cursor = cursors.cursor(scored.standing());
        Edge::new(cursor, Prediction::ranked(scored, Arc::clone(&params)))
    }));
    Ok(connection)
}
