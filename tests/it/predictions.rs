//! Predictions through the public door.

use serde_json::json;
use sqlx::PgPool;

use crate::support::{Film, TestService};

#[sqlx::test(migrations = false)]
async fn candidates_come_in_order_of_their_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    Film::new("Liked").released("2021-05-01").rated(7.0, 7.0).insert(&service.pool).await;
    Film::new("Loved").released("2029-12-31").rated(9.0, 9.0).insert(&service.pool).await;
    Film::new("Listed").released("2022-01-01").rated(9.5, 9.5).on(&["1001_movies"]).insert(&service.pool).await;
    Film::new("Later").released("2030-01-01").rated(9.9, 9.9).insert(&service.pool).await;
    service.refresh().await;

    let data = service.data("{ predictions { totalCount nodes { rank movie { title } } } }").await;

    let expected = json!([{"rank": 1, "movie": {"title": "Loved"}}, {"rank": 2, "movie": {"title": "Liked"}}]);
    assert_eq!(data["predictions"]["nodes"], expected);
    assert_eq!(data["predictions"]["totalCount"], 2);
}
