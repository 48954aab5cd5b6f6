//! Data that lack whole criteria, as after an import of IMDb's files and one list: what does not count is left out, and
//! everything that shows weights says so.

use axum::body::to_bytes;
use cinegraph::clock::Clock;
use cinegraph::services::default_profile::choose_once;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::mutations::{Office, SET_DEFAULT};
use crate::support::{Movie, TARGET, TestService};

/// Ratings, votes and a list: no critics, awards and people.
async fn sparse(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    for (title, rating) in [("Good", 9.0), ("Fair", 6.0)] {
        let movie = Movie::new(title).released("2021-05-01").rated(rating, rating);
        movie.metric("imdb", "rating_votes", 100.0).insert(&service.pool).await;
    }
    Movie::new("Listed").released("1994-05-01").rated(8.0, 8.0).on(&[TARGET]).insert(&service.pool).await;
    service.refresh().await;
    service
}

const MISSING: [&str; 4] = ["CRITICAL_ACCLAIM", "INDUSTRY_RECOGNITION", "CULTURAL_IMPACT", "PEOPLE_QUALITY"];

async fn weights(service: &TestService, arguments: &str) -> Vec<f64> {
    let query = format!("{{ predictions(first: 1{arguments}) {{ nodes {{ breakdown {{ weight }} }} }} }}");
    let data = service.data(&query).await;
    let breakdown = data["predictions"]["nodes"][0]["breakdown"].as_array().unwrap().iter();
    breakdown.map(|part| part["weight"].as_f64().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn criteria_without_data_do_not_count(pool: PgPool) {
    let service = sparse(pool).await;
    assert_eq!(weights(&service, "").await, [1.0, 0.0, 0.0, 0.0, 0.0]);
    let custom = "popularOpinion: 3, criticalAcclaim: 9, industryRecognition: 9, culturalImpact: 1, peopleQuality: 9";
    assert_eq!(weights(&service, &format!(", weights: {{ {custom} }}")).await, [1.0, 0.0, 0.0, 0.0, 0.0]);
    // Only criteria without data: nothing would be left.
    let critics = "popularOpinion: 0, criticalAcclaim: 1, industryRecognition: 0, culturalImpact: 0, peopleQuality: 0";
    assert_eq!(weights(&service, &format!(", weights: {{ {critics} }}")).await, [0.0, 1.0, 0.0, 0.0, 0.0]);
    // The profile itself is not changed.
    let profile = service.data("{ profile(name: \"Balanced\") { weights { criticalAcclaim } } }").await;
    assert_eq!(profile["profile"]["weights"]["criticalAcclaim"], json!(0.2));
}

#[sqlx::test(migrations = false)]
async fn criteria_without_data_are_named_until_data_arrive(pool: PgPool) {
    let service = sparse(pool).await;
    let named = |data: Value| (data["criteriaWithoutData"].clone(), data["status"]["criteriaWithoutData"].clone());
    let query = "{ criteriaWithoutData status { criteriaWithoutData } }";
    assert_eq!(named(service.data(query).await), (json!(MISSING), json!(MISSING)));
    for path in ["/", "/validation"] {
        let page = to_bytes(service.get(path).await.into_body(), usize::MAX).await.unwrap();
        let note =
            "Left out for lack of data: critical acclaim, industry recognition, cultural impact, people quality.";
        assert!(String::from_utf8_lossy(&page).contains(note), "{path}");
    }
    // A second list says something about the first one, which alone says nothing about the others' movies.
    let movie = Movie::new("Reviewed").released("2021-05-01").on(&["criterion"]);
    movie.reviewed(80.0, 90.0).nominated(1, 0).insert(&service.pool).await;
    service.refresh().await;
    assert_eq!(named(service.data(query).await), (json!(["PEOPLE_QUALITY"]), json!(["PEOPLE_QUALITY"])));
    assert_eq!(weights(&service, "").await, [0.25, 0.25, 0.25, 0.25, 0.0]);
}

#[sqlx::test(migrations = false)]
async fn invalidating_a_profile_finds_what_was_computed_with_its_weights(pool: PgPool) {
    let office = Office::on(sparse(pool).await.pool).await;
    office.service.refresh().await;
    office.service.data("{ predictions(first: 1) { totalCount } }").await;
    let mutation = "mutation { invalidateCache(scope: { profile: \"Balanced\" }) { entries } }";
    let invalidated = office.change(mutation, json!({})).await;
    assert!(invalidated["invalidateCache"]["entries"].as_u64().unwrap() > 0, "{invalidated}");
}

/// 30 listed movies of the 1990s that critics praise, and as many unlisted ones that audiences like better.
async fn praised_by_critics(pool: &PgPool, origin: &str) {
    for number in 0..30 {
        let movie = |title: &str| Movie::new(&format!("{title} {number}")).released("1994-05-01");
        movie("Art").rated(5.0, 5.0).reviewed(95.0, 95.0).on(&[TARGET]).insert(pool).await;
        movie("Hit").rated(9.0, 9.0).reviewed(10.0, 10.0).nominated(8, 4).insert(pool).await;
    }
    sqlx::query("UPDATE metric_weight_profiles SET category_weights = $1 WHERE name = 'Critics Choice'")
        .bind(json!({"mob": 0, "critics": 1, "festival_recognition": 0, "time_machine": 0, "auteurs": 0}))
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("UPDATE cinegraph.installation SET catalogue_origin = $1").bind(origin).execute(pool).await.unwrap();
}

/// Takes a snapshot as the background job does; returns the name of the profile that was chosen then.
async fn snapshot(service: &TestService) -> Option<String> {
    service.refresh().await;
    let chosen = choose_once(&service.store, &Clock::system(), &[TARGET.to_owned()]).await.unwrap();
    service.refresh().await;
    chosen.map(|chosen| chosen.profile)
}

async fn default(service: &TestService) -> Value {
    let data = service.data("{ profiles { name isDefault } }").await;
    let profiles = data["profiles"].as_array().unwrap();
    profiles.iter().find(|profile| profile["isDefault"] == true).unwrap()["name"].clone()
}

#[sqlx::test(migrations = false)]
async fn the_default_profile_is_chosen_once_by_its_accuracy(pool: PgPool) {
    let office = Office::on(pool).await;
    let service = &office.service;
    // Nothing to compare with yet.
    Movie::new("Film").released("1994-05-01").rated(5.0, 5.0).on(&[TARGET]).insert(&service.pool).await;
    sqlx::query("UPDATE cinegraph.installation SET catalogue_origin = 'imported'")
        .execute(&service.pool)
        .await
        .unwrap();
    assert_eq!(snapshot(service).await, None);
    praised_by_critics(&service.pool, "imported").await;
    // A list whose movies have no scores yet says nothing.
    let before = choose_once(&service.store, &Clock::system(), &[TARGET.to_owned()]).await.unwrap();
    assert_eq!(before, None);
    assert_eq!(snapshot(service).await.as_deref(), Some("Critics Choice"));
    assert_eq!(default(service).await, "Critics Choice");
    // Later data or an administrator's choice never lead to another one.
    sqlx::query("DELETE FROM external_metrics WHERE source = 'metacritic'").execute(&service.pool).await.unwrap();
    assert_eq!(snapshot(service).await, None);
    assert_eq!(default(service).await, "Critics Choice");
}

#[sqlx::test(migrations = false)]
async fn the_default_profile_of_an_administrator_stays(pool: PgPool) {
    let office = Office::on(pool).await;
    let profile = office.service.data("{ profile(name: \"Cult Classic\") { id } }").await["profile"]["id"].clone();
    office.change(SET_DEFAULT, json!({ "id": profile })).await;
    praised_by_critics(&office.service.pool, "imported").await;
    assert_eq!(snapshot(&office.service).await, None);
    assert_eq!(default(&office.service).await, "Cult Classic");
}

#[sqlx::test(migrations = false)]
async fn the_default_profile_of_generated_movies_is_not_chosen(pool: PgPool) {
    let service = TestService::on(pool).await;
    praised_by_critics(&service.pool, "generated").await;
    assert_eq!(snapshot(&service).await, None);
    assert_eq!(default(&service).await, "Balanced");
}
