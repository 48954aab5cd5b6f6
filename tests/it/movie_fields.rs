//! Fields of movies and people beyond what lists need: texts, links, ratings, directors, awards in words.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService, credit, nominee, person};

const FIELDS: &str = "slug title originalTitle overview runtime posterPath posterUrl backdropPath tmdbUrl imdbUrl letterboxdUrl
    language { code name } directors { name tmdbUrl biography birthday deathday placeOfBirth knownForDepartment profilePath imdbId }
    ratings { tmdb { value maximum votes } imdb { value votes } metacritic { value maximum votes } rottenTomatoes { value }
              rottenTomatoesAudience { value } }
    festivals { entries { organization organizationName award category categoryName } }";

/// A movie with all fields (TMDb id 1) and one with none of them (TMDb id 2).
async fn two_movies(pool: PgPool, variable: &str, value: &str) -> TestService {
    let service = TestService::configured(pool, variable, value).await;
    let known =
        Movie::new("The Fall of Éa").released("1999-05-01").imdb("tt0133093").rated(8.1, 8.7).reviewed(73.0, 0.0);
    let known = known.metric("imdb", "rating_votes", 1_234_567.0).language("cn").insert(&service.pool).await;
    Movie::new("Nothing Known").released("1999-05-02").language("q").insert(&service.pool).await;
    sqlx::query(
        "UPDATE movies SET original_title = 'La chute d’Éa', overview = 'A city falls.', runtime = 136,
                poster_path = '/poster.jpg', backdrop_path = '/backdrop.jpg' WHERE id = $1",
    )
    .bind(known)
    .execute(&service.pool)
    .await
    .unwrap();
    sqlx::query("UPDATE movies SET original_title = '', overview = '', runtime = 0 WHERE id <> $1")
        .bind(known)
        .execute(&service.pool)
        .await
        .unwrap();
    let (first, second) = (person(&service.pool, "Ada First").await, person(&service.pool, "Bo Second").await);
    // The second job of a director does not name them twice; an assistant is not a director.
    for (person, job) in
        [(first, "Director"), (second, "Assistant Director"), (second, "Director"), (first, "Director")]
    {
        credit(&service.pool, known, person, Some(job)).await;
    }
    sqlx::query(
        "UPDATE people SET biography = 'Born in Éa.', birthday = '1950-01-02', deathday = '2020-03-04', imdb_id = 'nm1',
                place_of_birth = 'Éa', known_for_department = 'Directing', profile_path = '/ada.jpg' WHERE id = $1",
    )
    .bind(first)
    .execute(&service.pool)
    .await
    .unwrap();
    nominee(&service.pool, known, "FILM EDITING", "Bo Second", None, true).await;
    service.refresh().await;
    service
}

#[sqlx::test(migrations = false)]
async fn known_fields_are_returned(pool: PgPool) {
    let service = two_movies(pool, "CINEGRAPH_POSTER_BASE_URL", "https://images.example/t/p").await;

    let movie = &service.data(&format!("{{ movie(by: {{ tmdbId: 1 }}) {{ {FIELDS} }} }}")).await["movie"];

    let expected = json!({
        "slug": "1-the-fall-of-ea", "title": "The Fall of Éa", "originalTitle": "La chute d’Éa",
        "overview": "A city falls.", "runtime": 136,
        "posterPath": "/poster.jpg", "posterUrl": "https://images.example/t/p/w342/poster.jpg",
        "backdropPath": "/backdrop.jpg",
        "tmdbUrl": "https://www.themoviedb.org/movie/1", "imdbUrl": "https://www.imdb.com/title/tt0133093/",
        "letterboxdUrl": "https://letterboxd.com/tmdb/1",
        "language": { "code": "cn", "name": "Cantonese" },
        "directors": [
            { "name": "Ada First", "tmdbUrl": "https://www.themoviedb.org/person/1", "biography": "Born in Éa.",
              "birthday": "1950-01-02", "deathday": "2020-03-04", "placeOfBirth": "Éa",
              "knownForDepartment": "Directing", "profilePath": "/ada.jpg", "imdbId": "nm1" },
            { "name": "Bo Second", "tmdbUrl": "https://www.themoviedb.org/person/2", "biography": null,
              "birthday": null, "deathday": null, "placeOfBirth": null, "knownForDepartment": null,
              "profilePath": null, "imdbId": null },
        ],
        "ratings": {
            "tmdb": { "value": 8.1, "maximum": 10, "votes": null }, "imdb": { "value": 8.7, "votes": 1_234_567 },
            "metacritic": { "value": 73.0, "maximum": 100, "votes": null },
            // A rating of 0 is none.
            "rottenTomatoes": null, "rottenTomatoesAudience": null,
        },
        "festivals": { "entries": [
            { "organization": "AMPAS", "organizationName": "The Academy", "award": "Academy Awards",
              "category": "FILM EDITING", "categoryName": "Film Editing" },
        ] },
    });
    assert_eq!(*movie, expected);
    let sizes = "{ movie(by: { tmdbId: 1 }) { w92: posterUrl(size: W92) original: posterUrl(size: ORIGINAL) } }";
    let expected = json!({
        "w92": "https://images.example/t/p/w92/poster.jpg",
        "original": "https://images.example/t/p/original/poster.jpg",
    });
    assert_eq!(service.data(sizes).await["movie"], expected);
}

#[sqlx::test(migrations = false)]
async fn unknown_fields_are_null(pool: PgPool) {
    let service = two_movies(pool, "CINEGRAPH_CACHE_ENABLED", "false").await;

    let movie = service.data(&format!("{{ movie(by: {{ tmdbId: 2 }}) {{ {FIELDS} }} }}")).await["movie"].clone();

    for field in ["originalTitle", "overview", "runtime", "posterPath", "posterUrl", "backdropPath", "imdbUrl"] {
        assert_eq!(movie[field], Value::Null, "{field}");
    }
    assert_eq!(movie["language"], json!({ "code": "q", "name": null }));
    assert_eq!((&movie["directors"], &movie["festivals"]["entries"]), (&json!([]), &json!([])));
    assert!(movie["ratings"].as_object().unwrap().values().all(Value::is_null));
    // Without the setting, a client is sent to no other server.
    let poster = service.data("{ movie(by: { tmdbId: 1 }) { posterPath posterUrl } }").await;
    assert_eq!(poster["movie"], json!({ "posterPath": "/poster.jpg", "posterUrl": null }));
}

#[sqlx::test(migrations = false)]
async fn slugs_find_movies_by_the_part_before_the_hyphen(pool: PgPool) {
    let service = two_movies(pool, "CINEGRAPH_CACHE_ENABLED", "true").await;
    sqlx::query("UPDATE movies SET tmdb_id = -tmdb_id").execute(&service.pool).await.unwrap();

    let find = async |slug: &str| {
        let query = format!("{{ movie(by: {{ slug: \"{slug}\" }}) {{ slug }} }}");
        service.data(&query).await["movie"]["slug"].clone()
    };

    assert_eq!(find("tt0133093").await, "tt0133093-the-fall-of-ea");
    assert_eq!(find("tt0133093-another-title").await, "tt0133093-the-fall-of-ea");
    let id = service.data("{ movies(titleContains: \"nothing\") { nodes { id slug } } }").await["movies"]["nodes"][0]
        .clone();
    assert_eq!(id["slug"], format!("{}-nothing-known", id["id"].as_str().unwrap()));
    assert_eq!(find(id["slug"].as_str().unwrap()).await, id["slug"]);
    for unknown in ["", "nothing-known", "1", "tt9", "99999999999", "\\u0000"] {
        assert_eq!(find(unknown).await, Value::Null, "{unknown}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_page_of_movies_loads_each_kind_of_detail_in_one_statement(pool: PgPool) {
    let service = TestService::on(pool).await;
    for number in 0..40 {
        let movie = Movie::new(&format!("Film {number}")).released("2021-06-15").rated(5.0, 5.0);
        let movie = movie.insert(&service.pool).await;
        let director = person(&service.pool, &format!("Director {number}")).await;
        credit(&service.pool, movie, director, Some("Director")).await;
    }
    service.refresh().await;
    let before = service.statements();

    let data = service
        .data(
            "{ predictions(first: 40) { nodes { movie { overview runtime directors { name } ratings { imdb { value } }
                               festivals { wins } genres { name } language { name } posterUrl slug } } } }",
        )
        .await;

    assert_eq!(data["predictions"]["nodes"][39]["movie"]["ratings"]["imdb"]["value"], 5.0);
    let statements = service.statements() - before;
    assert!(statements <= 12, "{statements} statements");
}
