//! Import of lists.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::admin_field::admin_field;
use crate::graphql::complexity;
use crate::graphql::error::ApiError;
use crate::graphql::error_code::ErrorCode;
use crate::graphql::id::NodeId;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::movie_list::MovieList;
use crate::services::list_import::{self, Family, ImportedList, MatchKind, RowMatch, Unmatched};
use crate::services::list_upload::ListUpload;
use crate::store::{self, ListMoveKind};

/// Maximum number of rows and movies that a result names. A choice; the report names all rows.
const NAMED_MAX: usize = 100;

/// The mutation that imports a list.
#[derive(Default)]
pub(super) struct ImportMutations;

#[Object]
impl ImportMutations {
    /// Replaces the movies of a list by those that a text names, or adds the list. Rows that match no movie, or several,
    /// are left out and reported. Fails with `CONFLICT` if the list has changed since `expectedUpdatedAt`, and with
    /// `FORBIDDEN` if the lists belong to another application.
    #[graphql(complexity = "complexity::LIST_COUNTS + child_complexity")]
    async fn import_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The list, and the text that names its movies")] input: ListInput,
    ) -> Result<ListImport, ApiError> {
        admin_field(ctx, async |services, admin| {
            let (list, imported) = services.import_list(&admin, &input.into()).await?;
            Ok(ListImport { list: list.map(MovieList), imported })
        })
        .await
    }
}

/// A list, and the text that names its movies.
#[derive(InputObject)]
struct ListInput {
    /// Key of the list, 1 to 100 characters.
    key: String,
    /// Display name, at most 500 characters. Null: the present name, or that in the text.
    name: Option<String>,
    /// Edition in which the movies joined the list, for rows that do not name one.
    edition: Option<String>,
    /// Year of the list.
    year: Option<i32>,
    /// Contents of the file: an export of IMDb, Letterboxd or Trakt, a CSV file, or one ID, address or title with year a
    /// line.
    text: String,
    /// Format of the text. Null: recognised by its content.
    format: Option<ListFormat>,
    /// Whether the list is to be a target list, as by `setTargetList`. Null: as it is.
    target: Option<bool>,
    /// The `report` of an earlier import of the same text, in which the column `movie` was filled in: with an ID, or `-`
    /// to leave the row out.
    corrections: Option<String>,
    /// Whether to return what would change, and change nothing.
    #[graphql(default = false)]
    dry_run: bool,
    /// The list's `updatedAt` as last read. The import fails with `CONFLICT` if it has changed since. Null imports
    /// unconditionally.
    expected_updated_at: Option<Timestamp>,
}

impl From<ListInput> for ListUpload {
    fn from(input: ListInput) -> Self {
        let ListInput { key, name, edition, year, text, target, corrections, dry_run, .. } = input;
        let family = input.format.map(Family::from);
        let expected_updated_at = input.expected_updated_at.map(|time| time.0);
        Self { key, name, edition, year, text, family, target, corrections, dry_run, expected_updated_at }
    }
}

/// Format of a text that names the movies of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Family")]
enum ListFormat {
    /// An export of IMDb: a list, a watchlist or ratings.
    Imdb,
    /// An export of Letterboxd: a list, a watchlist, watched films or ratings.
    Letterboxd,
    /// An export of Trakt.
    Trakt,
    /// One ID, address or title with year a line.
    Plain,
    /// A CSV file with the columns of `movie_lists.csv`.
    Csv,
}

/// How a row was matched, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "MatchKind")]
enum ListMatch {
    /// By the corrections.
    Resolved,
    /// By its TMDb ID.
    TmdbId,
    /// By its IMDb ID.
    ImdbId,
    /// By exact title and year.
    Title,
    /// By title and year, without regard to case, accents and an article after a comma.
    FoldedTitle,
    /// By such a title, with a year that differs by one.
    NearYear,
}

/// Why a row matches no movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Unmatched")]
enum UnmatchedReason {
    /// Several movies match equally well.
    Ambiguous,
    /// The TMDb ID and the IMDb ID are of different movies.
    IdsDisagree,
    /// The row has a title but no year.
    NoYear,
    /// The only movie that matches is meant by another row.
    Taken,
    /// The movie is not in the database.
    Absent,
    /// Another row names the movie with another position or edition.
    Disagrees,
    /// The row has neither an ID nor a title with its year, or several IDs.
    Unreadable,
}

/// Result of an import of a list.
struct ListImport {
    list: Option<MovieList>,
    imported: ImportedList,
}

/// Result of an import of a list.
#[Object]
impl ListImport {
    /// The list. Null if it is new and nothing was changed.
    async fn list(&self) -> Option<MovieList> {
        self.list.as_ref().map(|list| MovieList(list.0.clone()))
    }

    /// Whether the import changed anything or, for a dry run, would change it.
    async fn changed(&self) -> bool {
        self.imported.has_changed
    }

    /// Format of the text, such as "a list of Letterboxd".
    async fn format(&self) -> String {
        self.imported.file.format.to_string()
    }

    /// Rows of the text that name a movie.
    async fn rows(&self) -> usize {
        self.imported.file.rows.len()
    }

    /// What to check in the text, such as lines above the header that were not read.
    async fn notes(&self) -> Vec<String> {
        self.imported.notes()
    }

    /// Movies on the list after the import.
    async fn films(&self) -> usize {
        self.imported.movies
    }

    /// Number of rows by the way in which they were matched, the surest first. Ways that matched no row are left out.
    async fn matched(&self) -> Vec<MatchCount> {
        let count = |kind: &MatchKind| MatchCount { kind: (*kind).into(), rows: self.imported.matched(*kind) };
        MatchKind::ALL.iter().map(count).filter(|count| count.rows > 0).collect()
    }

    /// Number of rows by the reason why they match no movie. Reasons of no row are left out.
    async fn unmatched(&self) -> Vec<UnmatchedCount> {
        let count =
            |reason: &Unmatched| UnmatchedCount { reason: (*reason).into(), rows: self.imported.unmatched(*reason) };
        Unmatched::ALL.iter().map(count).filter(|count| count.rows > 0).collect()
    }

    /// Rows that match no movie, with the movies that they may mean: the first 100.
    async fn unmatched_rows(&self) -> Vec<UnmatchedRow> {
        self.imported.rows().filter_map(|(row, found, _)| UnmatchedRow::of(row, found)).take(NAMED_MAX).collect()
    }

    /// CSV file of all rows that match no movie, or whose match is doubtful. With its column `movie` filled in, it is the
    /// value of `corrections`.
    async fn report(&self) -> Result<String, ApiError> {
        let mut report = Vec::new();
        // Writing to memory does not fail, and the report is made of texts.
        let written = list_import::write_report(&mut report, self.imported.rows()).ok();
        let text = written.and_then(|()| String::from_utf8(report).ok());
        text.ok_or_else(|| ApiError::new(ErrorCode::Internal, "internal server error"))
    }

    /// Number of movies that joined the list.
    async fn joined(&self) -> usize {
        self.imported.moved(ListMoveKind::Joined).count()
    }

    /// Number of movies that changed their position or edition.
    async fn moved(&self) -> usize {
        self.imported.moved(ListMoveKind::Changed).count()
    }

    /// Number of movies that left the list, because the text does not name them.
    async fn left(&self) -> usize {
        self.imported.moved(ListMoveKind::Left).count()
    }

    /// Movies that left the list: the first 100.
    async fn left_films(&self) -> Vec<NamedMovie> {
        self.imported.moved(ListMoveKind::Left).take(NAMED_MAX).map(NamedMovie::from).collect()
    }
}

/// Number of rows that were matched in one way.
#[derive(SimpleObject)]
struct MatchCount {
    /// The way.
    kind: ListMatch,
    /// Number of rows.
    rows: usize,
}

/// Number of rows that match no movie for one reason.
#[derive(SimpleObject)]
struct UnmatchedCount {
    /// The reason.
    reason: UnmatchedReason,
    /// Number of rows.
    rows: usize,
}

/// A row that matches no movie.
#[derive(SimpleObject)]
struct UnmatchedRow {
    /// Line of the text, from 1.
    line: u64,
    /// Title, or else the ID or the text of the row.
    title: String,
    /// Year of the release. Null if the row has none.
    year: Option<i32>,
    /// Why it matches no movie.
    reason: UnmatchedReason,
    /// Movies that the row may mean.
    candidates: Vec<ListCandidate>,
}

impl UnmatchedRow {
    /// The row if it matches no movie.
    fn of(row: &list_import::Row, found: &RowMatch) -> Option<Self> {
        let RowMatch::Unmatched { reason, candidates } = found else { return None };
        let candidates = candidates.iter().map(ListCandidate::from).collect();
        Some(Self { line: row.line, title: row.label(), year: row.year, reason: (*reason).into(), candidates })
    }
}

/// A movie that a row may mean.
#[derive(SimpleObject)]
struct ListCandidate {
    /// Global ID of the movie.
    id: ID,
    /// TMDb ID. Null if unknown.
    tmdb_id: Option<i32>,
    /// IMDb ID. Null if unknown.
    imdb_id: Option<String>,
    /// Title.
    title: String,
    /// Year of the release. Null if unknown.
    year: Option<i32>,
}

impl From<&store::ListCandidate> for ListCandidate {
    fn from(movie: &store::ListCandidate) -> Self {
        Self {
            id: NodeId::Movie(movie.id).into(),
            tmdb_id: movie.tmdb_id,
            imdb_id: movie.imdb_id.clone(),
            title: movie.title.clone(),
            year: movie.year,
        }
    }
}

/// A movie by title and year.
#[derive(SimpleObject)]
struct NamedMovie {
    /// Title.
    title: String,
    /// Year of the release. Null if unknown.
    year: Option<i32>,
}

impl From<&store::ListMove> for NamedMovie {
    fn from(movie: &store::ListMove) -> Self {
        Self { title: movie.title.clone(), year: movie.year }
    }
}
