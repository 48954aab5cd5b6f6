//! Columns: the values in memory match the tables, and a decade is read from adjacent pages of the table.

use chrono::{DateTime, NaiveDate, Utc};
use cinegraph::scoring::{Basis, Criterion, Decade, MovieId, ScoreVector};
use cinegraph::store::LoadedColumns;
use sqlx::PgPool;

use crate::support::{Movie, TARGET, TestService};

/// A row of the score table.
#[derive(Debug, sqlx::FromRow)]
struct Stored {
    movie_id: i64,
    release_date: NaiveDate,
    vector: [f64; Criterion::COUNT],
    coverage: i16,
    popularity: f64,
    title: String,
    language: String,
    list_keys: Vec<String>,
    genre_ids: Vec<i64>,
    country_ids: Vec<i64>,
    computed_at: DateTime<Utc>,
}

async fn stored(service: &TestService) -> Vec<Stored> {
    sqlx::query_as(
        "SELECT *, ARRAY[popular_opinion_score, critical_acclaim_score, industry_recognition_score,
                         cultural_impact_score, people_quality_score] AS vector
         FROM cinegraph.movie_discovery_scores WHERE release_date IS NOT NULL",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap()
}

/// Movies of two centuries, with the shortest and the longest value of every attribute.
async fn service(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    let movies = [
        Movie::new("Ⓐmélie 💜")
            .released("2001-04-25")
            .on(&["b", TARGET, "ä"])
            .genre("Drama")
            .genre("War")
            .popularity(60.0),
        Movie::new("").released("1896-01-25").language("").country("FR").country("US").country("DE").popularity(0.5),
        Movie::new("Sunrise").released("1927-09-23").rated(8.1, 7.9).on(&[TARGET]).popularity(3.0),
        Movie::new("Wings").released("1927-09-23").reviewed(70.0, 90.0).country("US").popularity(2.0),
        Movie::new("Undated").popularity(1.0),
    ];
    // The latest first, so that the order of ids differs from that of dates.
    for movie in movies {
        movie.insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

#[track_caller]
fn assert_holds(loaded: &LoadedColumns, movie: &Stored) {
    let (scores, attributes) = (&loaded.columns.scores, &loaded.columns.attributes);
    let row = scores.row_of(MovieId(movie.movie_id)).unwrap();
    let codes = |ids: &[i64]| ids.iter().map(|id| u32::try_from(*id).unwrap()).collect::<Vec<_>>();
    assert_eq!(scores.id(row), MovieId(movie.movie_id));
    assert_eq!(scores.vector(row), ScoreVector(movie.vector));
    assert_eq!(attributes.release_days[row], movie.release_date);
    assert_eq!(i16::from(attributes.coverage[row]), movie.coverage);
    assert!(attributes.titles.containing(&movie.title).contains(&row), "{movie:?}");
    assert!(attributes.in_language(&movie.language)(row), "{movie:?}");
    assert_eq!(attributes.genres.of(row), codes(&movie.genre_ids));
    assert_eq!(attributes.countries.of(row), codes(&movie.country_ids));
    for list in ["b", TARGET, "ä", "c"] {
        assert_eq!(scores.on_list(list)(row), movie.list_keys.iter().any(|key| key == list), "{list}: {movie:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn columns_match_the_tables(pool: PgPool) {
    let service = service(pool).await;
    let movies = stored(&service).await;
    assert_eq!(movies.len(), 4);
    for movie in movies {
        let decade = Decade::of(movie.release_date).unwrap();
        let from_table = service.store.columns_from_table(decade).await.unwrap();
        assert_holds(&from_table, &movie);
        let row = from_table.columns.scores.row_of(MovieId(movie.movie_id)).unwrap();
        assert_eq!(from_table.columns.attributes.computed_at[row], movie.computed_at);
        assert_holds(&service.store.columns_from_view(decade).await.unwrap(), &movie);
    }
}

#[sqlx::test(migrations = false)]
async fn snapshot_columns_match_the_snapshot_table(pool: PgPool) {
    let service = service(pool).await;
    for movie in stored(&service).await {
        let (impact, quality): (f64, f64) = sqlx::query_as(
            "SELECT blind_cultural_impact_score, blind_people_quality_score FROM cinegraph.movie_scores
             WHERE movie_id = $1",
        )
        .bind(movie.movie_id)
        .fetch_one(&service.pool)
        .await
        .unwrap();
        let mut blind = ScoreVector(movie.vector);
        blind.0[Criterion::CulturalImpact as usize] = impact;
        blind.0[Criterion::PeopleQuality as usize] = quality;

        let columns =
            service.store.snapshot_columns(TARGET, TARGET, Decade::of(movie.release_date).unwrap()).await.unwrap();

        let row = columns.scores(Basis::Blind).row_of(MovieId(movie.movie_id)).unwrap();
        assert_eq!(columns.scores(Basis::AsPublished).vector(row), ScoreVector(movie.vector));
        assert_eq!(columns.scores(Basis::Blind).vector(row), blind);
        assert_eq!(columns.popularity()[row], movie.popularity);
        assert_eq!(columns.scores(Basis::Blind).on_list(TARGET)(row), movie.list_keys.iter().any(|key| key == TARGET));
    }
}

#[sqlx::test(migrations = false)]
async fn first_refresh_clusters_movies_by_decade(pool: PgPool) {
    let service = service(pool).await;
    for table in ["movie_discovery_scores", "movie_scores"] {
        let days: Vec<NaiveDate> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT release_date FROM cinegraph.{table} WHERE release_date IS NOT NULL ORDER BY ctid"
        )))
        .fetch_all(&service.pool)
        .await
        .unwrap();
        assert!(days.len() > 1 && days.is_sorted(), "{table}: {days:?}");
    }
}
