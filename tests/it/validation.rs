//! Validation through the public API: hits, misses and false positives of the top N.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TARGET, TestService};

/// A movie of the 1990s without other inputs than its rating. No other criterion has data, so the score is ten times the
/// rating.
fn movie(title: &str, rating: f64) -> Movie {
    Movie::new(title).released("1994-05-01").rated(rating, rating)
}

fn listed(title: &str, rating: f64) -> Movie {
    movie(title, rating).on(&[TARGET])
}

async fn service_with(pool: PgPool, movies: &[Movie]) -> TestService {
    let service = TestService::on(pool).await;
    for movie in movies {
        movie.insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

/// Fields of the validation of the 1990s.
async fn nineties(service: &TestService, fields: &str) -> Value {
    let mut data = service.data(&format!("{{ decadeValidation(decade: 1990) {{ {fields} }} }}")).await;
    data["decadeValidation"].take()
}

/// Fields of the validation of all decades.
async fn validation(service: &TestService, fields: &str) -> Value {
    service.data(&format!("{{ validation {{ {fields} }} }}")).await["validation"].take()
}

/// A ranked movie, with the selection of [`NODES`].
fn ranked(title: &str, rank: Option<usize>, score: Option<f64>) -> Value {
    json!({"rank": rank, "score": score, "movie": {"title": title}})
}

const NODES: &str = "nodes { rank score movie { title } }";

#[sqlx::test(migrations = false)]
async fn baselines_rank_by_what_the_data_has(pool: PgPool) {
    // Of the two listed movies, the votes of IMDb find one, and those weighted with the rating both.
    let voted = |movie: Movie, votes: f64| movie.metric("imdb", "rating_votes", votes);
    let reviews = listed("Reviews", 7.0).metric_with("tmdb", "rating_votes", 900.0, r#"{"type": "user_reviews"}"#);
    let movies = [
        voted(listed("Good", 9.0), 100.0),
        voted(reviews, 30.0),
        voted(movie("Bad", 1.0), 200.0),
        movie("Few", 5.0).metric("tmdb", "rating_votes", 20.0),
    ];
    let service = service_with(pool, &movies).await;
    let fields = "baselineAccuracy baselines { kind accuracy }";
    let votes = |popularity: f64| {
        json!({"baselineAccuracy": popularity, "baselines": [
            {"kind": "POPULARITY", "accuracy": popularity},
            {"kind": "VOTES", "accuracy": 0.5},
            {"kind": "RATED_VOTES", "accuracy": 1.0},
        ]})
    };
    assert_eq!(nineties(&service, fields).await, votes(0.5), "votes take the place of popularity");
    // As soon as one movie has a popularity, that counts: the most popular ones are not listed.
    for title in ["Popular", "Known"] {
        movie(title, 1.0).popularity(20.0).insert(&service.pool).await;
    }
    service.refresh().await;
    assert_eq!(nineties(&service, fields).await, votes(0.0));
}

#[sqlx::test(migrations = false)]
async fn without_votes_and_popularity_there_is_no_baseline(pool: PgPool) {
    let service = service_with(pool, &[listed("Hit", 9.0), movie("Other", 8.0)]).await;
    let fields = "accuracy baselineAccuracy baselines { accuracy }";
    let none = json!({"accuracy": null});
    let expected = json!({"accuracy": 1.0, "baselineAccuracy": null, "baselines": [none, none, none]});
    assert_eq!(nineties(&service, fields).await, expected);
    let overall = service.data(&format!("{{ validation {{ overall {{ {fields} }} }} }}")).await;
    assert_eq!(overall["validation"]["overall"], expected);
}

#[sqlx::test(migrations = false)]
async fn the_top_n_are_compared_with_the_list(pool: PgPool) {
    let popular = movie("Popular", 1.0).popularity(20.0);
    let movies = [listed("Hit", 9.0), movie("False positive", 8.0), popular, listed("Missed", 2.0)];
    let service = service_with(pool, &movies).await;

    let numbers = "listed population hits accuracy expectedHits lift baselineAccuracy unhittable";
    let decade = nineties(&service, numbers).await;

    let expected = json!({
        "listed": 2, "population": 4, "hits": 1, "accuracy": 0.5, "expectedHits": 1.0, "lift": 1.0,
        "baselineAccuracy": 0.5, "unhittable": 0,
    });
    assert_eq!(decade, expected);
}

#[sqlx::test(migrations = false)]
async fn hits_misses_and_false_positives_are_named_with_rank_and_score(pool: PgPool) {
    let movies = [listed("Hit", 10.0), movie("False positive", 6.25), listed("Missed", 5.0)];
    let service = service_with(pool, &movies).await;

    let fields = format!("hitFilms {{ {NODES} }} missedFilms {{ {NODES} }} falsePositives {{ {NODES} }}");
    let decade = nineties(&service, &fields).await;

    let expected = json!({
        "hitFilms": {"nodes": [ranked("Hit", Some(1), Some(100.0))]},
        "missedFilms": {"nodes": [ranked("Missed", Some(3), Some(50.0))]},
        "falsePositives": {"nodes": [ranked("False positive", Some(2), Some(62.5))]},
    });
    assert_eq!(decade, expected);
}

#[sqlx::test(migrations = false)]
async fn blind_basis_ignores_list_membership(pool: PgPool) {
    // Five points for list membership would rank the listed movie first. The popular movie lets cultural impact count.
    let popular = Movie::new("Popular").released("1984-05-01").popularity(20.0);
    let service = service_with(pool, &[listed("Listed", 5.0), movie("Better", 5.5), popular]).await;

    let query = "{ blind: decadeValidation(decade: 1990) { hits }
                   published: decadeValidation(decade: 1990, basis: AS_PUBLISHED) { hits } }";
    let data = service.data(query).await;

    assert_eq!(data, json!({"blind": {"hits": 0}, "published": {"hits": 1}}));
}

/// The rank and the historical hit rate of the candidates of the 1990s, with their titles.
async fn hit_rates_of_candidates(service: &TestService) -> Value {
    let rate = "historicalHitRate { firstRank lastRank movies listed rate }";
    let data =
        service.data(&format!("{{ predictions(decade: 1990) {{ nodes {{ rank movie {{ title }} {rate} }} }} }}")).await;
    data["predictions"]["nodes"].clone()
}

#[sqlx::test(migrations = false)]
async fn candidates_have_the_hit_rate_of_their_rank_in_other_decades(pool: PgPool) {
    // In the 1980s, 4 of the best 10 movies are listed, and none of the two that follow. The 1960s have no listed movie,
    // so they say nothing, and the 2020s are not complete.
    let mut movies: Vec<_> = (0..12)
        .map(|place| {
            let movie = Movie::new(&format!("Earlier {place}")).released("1984-05-01");
            let movie = movie.rated(9.0 - f64::from(place) / 2.0, 9.0 - f64::from(place) / 2.0);
            if place < 4 { movie.on(&[TARGET]) } else { movie }
        })
        .collect();
    movies.push(Movie::new("Unlisted").released("1964-05-01").rated(9.0, 9.0));
    movies.push(Movie::new("New").released("2021-05-01").rated(9.0, 9.0).on(&[TARGET]));
    // The best ten of the 1990s are listed, so that their first candidate is the eleventh of all.
    movies.extend((0..10).map(|place| listed(&format!("Listed {place}"), 9.0 - f64::from(place) / 10.0)));
    movies.push(movie("Eleventh", 5.0));
    let service = service_with(pool, &movies).await;

    let eleventh = json!([{"rank": 1, "movie": {"title": "Eleventh"},
        "historicalHitRate": {"firstRank": 11, "lastRank": 25, "movies": 2, "listed": 0, "rate": 0.0}}]);
    assert_eq!(hit_rates_of_candidates(&service).await, eleventh);
    // A candidate above all listed movies.
    movie("First", 10.0).insert(&service.pool).await;
    service.refresh().await;
    let first = json!({"firstRank": 1, "lastRank": 10, "movies": 10, "listed": 4, "rate": 0.4});
    assert_eq!(hit_rates_of_candidates(&service).await[0]["historicalHitRate"], first);

    // All decades together, that of the candidates as well.
    let bands = validation(&service, "hitRates { firstRank lastRank movies listed }").await["hitRates"].take();
    assert_eq!(bands[0], json!({"firstRank": 1, "lastRank": 10, "movies": 10 + 1 + 10, "listed": 4 + 9}));
    assert_eq!(bands[7], json!({"firstRank": 1001, "lastRank": null, "movies": 0, "listed": 0}));
    let fields = "prediction(by: { id: $id }) { historicalHitRate { rate } }";
    let id = service.data("{ confirmedAdditions(decade: 1990) { nodes { movie { id } } } }").await;
    let id = &id["confirmedAdditions"]["nodes"][0]["movie"]["id"];
    let query = format!("{{ {} }}", fields.replace("$id", &id.to_string()));
    assert_eq!(service.data(&query).await, json!({"prediction": {"historicalHitRate": null}}), "a listed movie");
}

#[sqlx::test(migrations = false)]
async fn without_blind_scores_there_is_no_hit_rate(pool: PgPool) {
    let service = service_with(pool, &[listed("Listed", 9.0), movie("Other", 8.0).on(&["another_list"])]).await;
    let query = r#"{ predictions(decade: 1990, list: "another_list") { nodes { historicalHitRate { rate } } } }"#;
    let expected = json!({"predictions": {"nodes": [{"historicalHitRate": null}]}});
    assert_eq!(service.data(query).await, expected);
    // The target list has them, but no movie of another decade.
    assert_eq!(hit_rates_of_candidates(&service).await[0]["historicalHitRate"], Value::Null);
}

#[sqlx::test(migrations = false)]
async fn where_nothing_is_listed_there_is_no_accuracy(pool: PgPool) {
    let service = service_with(pool, &[movie("Film", 5.0)]).await;

    let fields = "listed hits accuracy interval { low } lift baselineAccuracy";
    let nothing =
        json!({"listed": 0, "hits": 0, "accuracy": null, "interval": null, "lift": null, "baselineAccuracy": null});

    assert_eq!(nineties(&service, fields).await, nothing);
    assert_eq!(validation(&service, &format!("overall {{ {fields} }}")).await["overall"], nothing);
}

#[sqlx::test(migrations = false)]
async fn tie_at_the_cut_goes_to_the_lower_id(pool: PgPool) {
    let movies = [movie("First", 5.0), listed("Second", 5.0), listed("Third", 5.0)];
    let service = service_with(pool, &movies).await;

    let fields = format!("hitFilms {{ {NODES} }} missedFilms {{ {NODES} }}");
    let decade = nineties(&service, &fields).await;

    let expected = json!({
        "hitFilms": {"nodes": [ranked("Second", Some(2), Some(50.0))]},
        "missedFilms": {"nodes": [ranked("Third", Some(3), Some(50.0))]},
    });
    assert_eq!(decade, expected);
}

#[sqlx::test(migrations = false)]
async fn listed_movie_that_is_not_full_is_missed_without_a_rank(pool: PgPool) {
    let service = service_with(pool, &[listed("Hit", 5.0), listed("Soft", 9.0).soft(), movie("Other", 3.0)]).await;

    let fields = format!("listed population hits unhittable missedFilms {{ {NODES} }}");
    let decade = nineties(&service, &fields).await;

    let expected = json!({
        "listed": 2, "population": 2, "hits": 1, "unhittable": 1,
        "missedFilms": {"nodes": [ranked("Soft", None, None)]},
    });
    assert_eq!(decade, expected);
}

#[sqlx::test(migrations = false)]
async fn more_listed_movies_than_full_ones_leave_no_position_empty(pool: PgPool) {
    let service = service_with(pool, &[listed("Hit", 5.0), listed("Soft", 9.0).soft()]).await;

    let fields = format!("listed population accuracy falsePositives {{ {NODES} }}");
    let decade = nineties(&service, &fields).await;

    let expected = json!({"listed": 2, "population": 1, "accuracy": 0.5, "falsePositives": {"nodes": []}});
    assert_eq!(decade, expected);
}

#[sqlx::test(migrations = false)]
async fn fewer_candidates_than_requested_are_one_short_page(pool: PgPool) {
    let service = service_with(pool, &[movie("Second", 5.0), movie("First", 6.0)]).await;

    let fields = "totalCount pageInfo { hasNextPage } nodes { rank movie { title } }";
    let query = format!("{{ predictions(decade: 1990, first: 25) {{ {fields} }} }}");
    let data = service.data(&query).await;

    let expected = json!({
        "totalCount": 2,
        "pageInfo": {"hasNextPage": false},
        "nodes": [{"rank": 1, "movie": {"title": "First"}}, {"rank": 2, "movie": {"title": "Second"}}],
    });
    assert_eq!(data["predictions"], expected);
}

#[sqlx::test(migrations = false)]
async fn overall_pools_the_1920s_to_the_2010s(pool: PgPool) {
    let days = ["1919-12-31", "1920-01-01", "2019-12-31", "2020-01-01"];
    let service = service_with(pool, &days.map(|day| listed(day, 5.0).released(day))).await;

    let data = validation(&service, "overall { listed hits population } decades { decade listed }").await;

    assert_eq!(data["overall"], json!({"listed": 2, "hits": 2, "population": 2}));
    let decade = |year: i32| json!({"decade": year, "listed": 1});
    assert_eq!(data["decades"], json!([decade(1910), decade(1920), decade(2010)]));
}

#[sqlx::test(migrations = false)]
async fn decades_without_listed_movies_are_not_pooled(pool: PgPool) {
    let other = movie("Unlisted", 5.0).released("1985-01-01");
    let service = service_with(pool, &[listed("Listed", 5.0), other]).await;
    assert_eq!(validation(&service, "overall { population }").await, json!({"overall": {"population": 1}}));
}

#[sqlx::test(migrations = false)]
async fn each_decade_with_a_movie_of_any_status_is_reported(pool: PgPool) {
    let soft = movie("Soft", 5.0).soft().released("1955-01-01");
    let movies = [movie("Early", 5.0).released("1895-12-28"), soft, Movie::new("Undated").on(&[TARGET])];
    let service = service_with(pool, &movies).await;

    let data = validation(&service, "decades { decade listed population }").await;

    let decade = |year: i32, population: usize| json!({"decade": year, "listed": 0, "population": population});
    assert_eq!(data["decades"], json!([decade(1890, 1), decade(1950, 0)]));
}

#[sqlx::test(migrations = false)]
async fn the_current_decade_is_validated_only_by_itself(pool: PgPool) {
    let service = service_with(pool, &[listed("New", 5.0).released("2024-01-01")]).await;

    let query = "{ validation { decades { decade } } decadeValidation(decade: 2020) { hits } }";
    let data = service.data(query).await;

    assert_eq!(data, json!({"validation": {"decades": []}, "decadeValidation": {"hits": 1}}));
}

#[sqlx::test(migrations = false)]
async fn blind_basis_of_another_list_is_rejected_with_the_lists_that_have_one(pool: PgPool) {
    let service = service_with(pool, &[movie("Film", 5.0).on(&["criterion"])]).await;

    let query = r#"{ decadeValidation(decade: 1990, list: "criterion") { hits } }"#;
    let error = service.execute(query, json!({})).await["errors"][0].take();

    assert_eq!(error["extensions"], json!({"code": "BAD_USER_INPUT", "field": "basis"}));
    assert!(error["message"].as_str().unwrap().contains(TARGET), "{error:#}");
}

#[sqlx::test(migrations = false)]
async fn any_list_can_be_validated_as_published(pool: PgPool) {
    let service = service_with(pool, &[movie("Film", 5.0).on(&["criterion"]), listed("Other", 5.0)]).await;

    let query = r#"{ decadeValidation(decade: 1990, list: "criterion", basis: AS_PUBLISHED) { listed hits } }"#;
    let data = service.data(query).await;

    assert_eq!(data["decadeValidation"], json!({"listed": 1, "hits": 1}));
}

/// A listed movie with awards and an unlisted one with ratings: only heavy award weights rank the listed one first.
fn honoured_and_liked() -> [Movie; 2] {
    [listed("Honoured", 0.0).nominated(12, 0), movie("Liked", 9.0)]
}

#[sqlx::test(migrations = false)]
async fn profiles_are_compared_best_first_and_ties_by_name(pool: PgPool) {
    let service = service_with(pool, &honoured_and_liked()).await;

    let query = "{ profileComparison { best { name } profiles { profile { name } overall { hits } } } }";
    let data = service.data(query).await;

    let one = |name: &str, hits: usize| json!({"profile": {"name": name}, "overall": {"hits": hits}});
    let tied = ["Balanced", "Critics Choice", "Crowd Pleaser", "Cult Classic"].map(|name| one(name, 0));
    let expected: Vec<_> = [one("Award Winner", 1)].into_iter().chain(tied).collect();
    assert_eq!(data["profileComparison"], json!({"best": {"name": "Award Winner"}, "profiles": expected}));
}

#[sqlx::test(migrations = false)]
async fn inactive_profiles_are_not_compared(pool: PgPool) {
    let service = service_with(pool, &honoured_and_liked()).await;
    let switched_off = "UPDATE metric_weight_profiles SET active = false WHERE name <> 'Cult Classic'";
    sqlx::query(switched_off).execute(&service.pool).await.unwrap();

    let data = service.data("{ profileComparison { profiles { profile { name } } } }").await;

    assert_eq!(data["profileComparison"]["profiles"], json!([{"profile": {"name": "Cult Classic"}}]));
}

#[sqlx::test(migrations = false)]
async fn no_profile_is_the_best_where_nothing_is_listed(pool: PgPool) {
    let service = service_with(pool, &[movie("Film", 5.0)]).await;
    let data = service.data("{ profileComparison { best { name } } }").await;
    assert_eq!(data["profileComparison"]["best"], Value::Null);
}
