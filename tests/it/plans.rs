//! Query plans: statements of a request use indexes, whatever the size of the tables.

use chrono::NaiveDate;
use cinegraph::services::generate::{GenerateRequest, generate};
use cinegraph::services::refresh;
use cinegraph::store::SESSION_SETTINGS;
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgPool, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

use crate::support::{metrics, migrated};

const CATALOGUE: GenerateRequest = GenerateRequest { movies: 20_000, seed: 1 };

/// Tables that grow with the catalogue. No plan may scan one sequentially.
const LARGE: &[&str] = &[
    "external_metrics",
    "festival_nominations",
    "folded_names",
    "folded_titles",
    "movie_blind_scores",
    "movie_credits",
    "movie_discovery_scores",
    "movie_genres",
    "movie_production_countries",
    "movie_scores",
    "movies",
    "people",
    "person_metrics",
];

type Statement = Query<'static, Postgres, PgArguments>;

/// Every table and index that the plan reads, as "node type, table".
async fn reads(pool: &PgPool, sql: &str, bound: impl FnOnce(Statement) -> Statement) -> Vec<(String, String)> {
    let explain = bound(sqlx::query(AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"))));
    let plan: Value = explain.fetch_one(pool).await.unwrap().get(0);
    let mut reads = Vec::new();
    collect(&plan[0]["Plan"], &mut reads);
    reads
}

fn collect(node: &Value, reads: &mut Vec<(String, String)>) {
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    if let (Some(kind), Some(table)) = (text("Node Type"), text("Relation Name")) {
        reads.push((kind, table));
    }
    // What a one-time filter guards is read only if the filter holds, such as while every title waits to be folded.
    if text("One-Time Filter").is_some() {
        return;
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|child| collect(child, reads));
}

fn decade(statement: Statement) -> Statement {
    let first_day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    statement.bind(first_day(1930)).bind(first_day(1940))
}

#[sqlx::test(migrations = false)]
async fn no_statement_of_a_request_reads_a_whole_table(pool: PgPool) {
    let store = migrated(&pool, metrics()).await;
    generate(&store, CATALOGUE, &mut |_| ()).await.unwrap();
    refresh::person_quality(&store, &mut |_| ()).await.unwrap();
    refresh::scores(&store, &mut |_| ()).await.unwrap();
    let lists = ["1001_movies".to_owned()];
    refresh::snapshot(&store, &lists, &mut |_| ()).await.unwrap();
    sqlx::query("ANALYZE").execute(&pool).await.unwrap();
    let options = pool.connect_options().as_ref().clone().options(SESSION_SETTINGS);
    let pool = PgPool::connect_with(options).await.unwrap();

    macro_rules! reads {
        ($file:literal, $bound:expr) => {
            ($file, reads(&pool, include_str!(concat!("../../src/store/sql/", $file)), $bound).await)
        };
    }
    let some = |statement: Statement| statement.bind(vec![77_i64]);
    let plans = [
        reads!("columns_from_table.sql", |s| decade(s).bind(1_i32)),
        reads!("columns_from_view.sql", decade),
        reads!("snapshot_columns.sql", |s| decade(s.bind("1001_movies"))),
        reads!("unhittable_movies.sql", |s| decade(s.bind("1001_movies"))),
        reads!("live_scores.sql", some),
        reads!("credits_of_movies.sql", some),
        reads!("movies_by_title.sql", |s| s.bind("%stangate%").bind(None::<String>).bind(None::<i64>).bind(25_i64)),
        reads!("festival_entries_of_movies.sql", some),
        reads!("movies_of_people.sql", |s| {
            s.bind(vec![7_i64]).bind(vec![None::<NaiveDate>]).bind(vec![None::<i64>]).bind(vec![25_i64])
        }),
        reads!("list_members.sql", |s| s.bind("criterion")),
    ];

    for (file, reads) in plans {
        let whole = |(kind, table): &&(String, String)| kind == "Seq Scan" && LARGE.contains(&table.as_str());
        assert_eq!(reads.iter().find(whole), None, "{file} reads a whole table");
        let indexed = |(kind, _): &(String, String)| kind.contains("Index") || kind == "Bitmap Heap Scan";
        assert!(reads.iter().any(indexed), "{file} reaches nothing by an index: {reads:?}");
    }
}
