//! The page of a film, the files beside the pages (CSV, robots.txt, icon), and posters.

use axum::http::{StatusCode, header};
use sqlx::PgPool;

use crate::cli::Server;
use crate::page::{Page, test_in_browser};
use crate::support::{Movie, TestService, credit, nominee, person, url};

/// Three films of the 1990s: one with all details, which is on a list, one with a poster only, one without anything.
async fn nineties(pool: &PgPool, variable: &str, value: &str) -> TestService {
    let service = TestService::configured(pool.clone(), variable, value).await;
    let (first, second, third) = (
        Movie::new("The Fall of Éa").released("1999-05-01").imdb("tt0133093").rated(8.0, 8.0).reviewed(90.0, 95.0),
        Movie::new("=Second()").released("1998-05-01").rated(7.0, 7.0).nominated(1, 0),
        Movie::new("Nothing Known").released("1997-05-01").language("qq"),
    );
    let id = first.nominated(2, 1).on(&["other_list"]).country("FR").genre("Drama").insert(pool).await;
    let (second, _) = (second.insert(pool).await, third.insert(pool).await);
    sqlx::query("UPDATE movies SET poster_path = '/poster.jpg' WHERE id = ANY ($1)")
        .bind([id, second])
        .execute(pool)
        .await
        .unwrap();
    let texts =
        "UPDATE movies SET original_title = 'La chute', overview = 'A <city> falls.', runtime = 136 WHERE id = $1";
    sqlx::query(texts).bind(id).execute(pool).await.unwrap();
    let director = person(pool, "Ada First").await;
    credit(pool, id, director, Some("Director")).await;
    nominee(pool, id, "FILM EDITING", "Bo Second", None, true).await;
    service.refresh().await;
    service
}

#[sqlx::test(migrations = false)]
async fn film_page_says_in_words_what_the_film_is_and_has_won(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await;

    let film = Page::at(&service, "/films/1-the-fall-of-ea?profile=Balanced").await;

    assert_eq!(film.status, StatusCode::OK);
    for part in [
        "Rank 1 of the 1990s",
        "2 h 16 min",
        "English",
        "Country FR",
        "Directed by <a href=\"/people/1-ada-first?profile=Balanced\"><bdi>Ada First</bdi></a>",
        "<bdi>La chute</bdi>",
        "A &#60;city&#62; falls.",
        "<bdi>Academy Awards</bdi> 2000: 2 wins, 3 nominations",
        "<bdi>Film Editing</bdi> – <bdi>Bo Second</bdi>",
        "Held up by",
        "href=\"https://www.themoviedb.org/movie/1\" rel=\"noopener noreferrer external\"",
        "href=\"https://www.imdb.com/title/tt0133093/\"",
        "href=\"https://letterboxd.com/tmdb/1\"",
        "<link rel=\"canonical\" href=\"/films/1-the-fall-of-ea\">",
        "<meta property=\"og:title\" content=\"The Fall of Éa (1999)\">",
        // The initial after the article, and the year, in place of a poster.
        "<span class=\"poster tile\" aria-hidden=\"true\"><b>F</b>1999</span>",
        "<a href=\"/?profile=Balanced\" aria-current=\"true\">Predictions</a>",
    ] {
        assert!(film.text.contains(part), "{part} is missing in {}", film.text);
    }
    assert_eq!(film.link("rel=\"next\""), "/films/2-second?profile=Balanced");
    assert!(!film.text.contains("rel=\"prev\""), "it is the first");
}

#[sqlx::test(migrations = false)]
async fn film_page_without_details_shows_what_holds_the_film_back(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "false").await;

    let film = Page::at(&service, "/films/3-nothing-known").await;

    let back = "Held back by popular opinion: no rating known; no film of the 1990s has less.";
    for part in ["Rank 3 of the 1990s", back, "No nominations on record.", "No credits on record."] {
        assert!(film.text.contains(part), "{part} is missing in {}", film.text);
    }
    for absent in ["Held up", "Directed by", "Original title", "imdb.com", "<img", "rel=\"next\""] {
        assert!(!film.text.contains(absent), "{absent}");
    }
    let links = [film.link("themoviedb"), film.link("letterboxd"), film.link("rel=\"prev\"")];
    assert_eq!(links, ["https://www.themoviedb.org/movie/3", "https://letterboxd.com/tmdb/3", "/films/2-second"]);
}

#[sqlx::test(migrations = false)]
async fn other_addresses_of_a_film_redirect_to_its_slug_with_the_query(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await;
    let id = service.data("{ movie(by: { tmdbId: 1 }) { id } }").await["movie"]["id"].as_str().unwrap().to_owned();

    for old in [id.as_str(), "1", "1-", "1-another-title", "tt0133093", "tt0133093-the-fall-of-ea"] {
        let page = Page::at(&service, &format!("/films/{old}?decade=1990&q=a%2Fb&popular=1")).await;
        assert_eq!(page.status, StatusCode::PERMANENT_REDIRECT, "{old}");
        assert_eq!(page.header(header::LOCATION), "/films/1-the-fall-of-ea?decade=1990&q=a%2Fb&popular=1", "{old}");
        assert_eq!(page.header(header::CACHE_CONTROL), "no-cache");
    }
    for unknown in ["999-the-fall-of-ea", "the-fall-of-ea", "tt9", "%00", "..", "1%2F..", "%FF"] {
        let page = Page::at(&service, &format!("/films/{unknown}")).await;
        assert!(page.status.is_client_error(), "{unknown}: {}", page.status);
    }
    let unknown = Page::at(&service, "/films/999").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.text.contains("We don’t know this film"));
}

#[sqlx::test(migrations = false)]
async fn page_of_a_person_has_their_films_with_role_and_rank(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await;
    let life = "UPDATE people SET birthday = '1950-02-03', place_of_birth = 'Oslo', imdb_id = '<nm1>',
                                  known_for_department = 'Directing'";
    sqlx::query(life).execute(&service.pool).await.unwrap();

    let person = Page::at(&service, "/people/1-ada-first?profile=Balanced").await;

    assert_eq!(person.status, StatusCode::OK);
    for part in [
        "<h1><bdi>Ada First</bdi></h1>",
        "<bdi>Directing</bdi> · <bdi>born 1950-02-03 in Oslo</bdi>",
        "<bdi>The Fall of Éa</bdi> <small dir=\"auto\">La chute</small></a> <small class=\"roles\"><bdi>Director</bdi></small>",
        "Rank 1 of the 1990s",
        "<link rel=\"canonical\" href=\"/people/1-ada-first\">",
    ] {
        assert!(person.text.contains(part), "{part} is missing in {}", person.text);
    }
    assert!(!person.text.contains("imdb.com"));
    for old in [
        "1",
        "1-another-name",
        service.data("{ person(by: { tmdbId: 1 }) { id } }").await["person"]["id"].as_str().unwrap(),
    ] {
        let page = Page::at(&service, &format!("/people/{old}?popular=1")).await;
        assert_eq!(page.status, StatusCode::PERMANENT_REDIRECT, "{old}");
        assert_eq!(page.header(header::LOCATION), "/people/1-ada-first?popular=1", "{old}");
    }
    for unknown in ["999", "ada-first", "nm1", "%00", "TW92aWU6MQ"] {
        let page = Page::at(&service, &format!("/people/{unknown}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{unknown}");
        assert!(page.text.contains("We don’t know this person"));
    }
}

#[sqlx::test(migrations = false)]
async fn posters_are_loaded_from_the_set_origin_only(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_POSTER_BASE_URL", "https://images.example/t/p/").await;
    let policy = |page: &Page| page.header(header::CONTENT_SECURITY_POLICY).to_owned();

    let film = Page::at(&service, "/films/1-the-fall-of-ea").await;
    let without = Page::at(&service, "/films/3-nothing-known").await;
    let list = Page::at(&service, "/?decade=1990").await;

    let row = "<img class=\"poster\" src=\"https://images.example/t/p/w92/poster.jpg\" width=\"26\" height=\"39\" alt=\"\" \
               loading=\"lazy\" decoding=\"async\" referrerpolicy=\"no-referrer\">";
    assert_eq!(list.text.matches(row).count(), 2, "{}", list.text);
    assert!(list.text.contains("<span class=\"poster tile\" aria-hidden=\"true\"><b>N</b></span>"));
    let image = "<img class=\"poster\" src=\"https://images.example/t/p/w342/poster.jpg\" \
                 srcset=\"https://images.example/t/p/w342/poster.jpg 1x, https://images.example/t/p/w780/poster.jpg 2x\" \
                 width=\"342\" height=\"513\" alt=\"\" loading=\"lazy\" decoding=\"async\" referrerpolicy=\"no-referrer\">";
    assert!(film.text.contains(image), "{}", film.text);
    assert!(without.text.contains("class=\"poster tile\""));
    for page in [film, without, Page::at(&service, "/").await, Page::at(&service, "/validation").await] {
        assert!(policy(&page).contains("img-src 'self' data: https://images.example;"), "{}", policy(&page));
        assert_eq!(policy(&page).matches("https:").count(), 1);
        assert!(page.text.contains("This product uses the TMDB API but is not endorsed or certified by TMDB"));
    }
}

#[sqlx::test(migrations = false)]
async fn without_the_setting_no_page_names_another_origin_for_images(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await;

    let film = Page::at(&service, "/films/1-the-fall-of-ea").await;
    let list = Page::at(&service, "/?decade=1990").await;

    assert!(list.text.contains("data-field=\"directors\">Ada First</span>") && !list.text.contains("class=\"poster"));
    assert!(film.header(header::CONTENT_SECURITY_POLICY).contains("img-src 'self' data:;"));
    assert!(!film.text.contains("<img") && !film.text.contains("og:image") && !film.text.contains("TMDB API"));
}

#[sqlx::test(migrations = false)]
async fn canonical_addresses_have_the_public_host_if_it_is_set(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_PUBLIC_URL", "https://films.example/cinema/").await;
    let without = TestService::on(pool).await;

    for (uri, canonical) in [
        ("/?decade=1990&profile=Balanced&after=", "/?decade=1990&#38;profile=Balanced"),
        ("/films/1-the-fall-of-ea?decade=1990", "/films/1-the-fall-of-ea"),
        ("/decades?decade=1990&profile=Balanced", "/decades?profile=Balanced"),
    ] {
        let page = Page::at(&service, uri).await.text;
        let plain = Page::at(&without, uri).await.text;
        let absolute = format!("https://films.example/cinema{canonical}\">");
        assert!(page.contains(&format!("rel=\"canonical\" href=\"{absolute}")), "{page}");
        assert!(page.contains(&format!("property=\"og:url\" content=\"{absolute}")), "{page}");
        assert!(plain.contains(&format!("rel=\"canonical\" href=\"{canonical}\">")), "{plain}");
        assert!(!plain.contains("og:url"));
    }
}

#[sqlx::test(migrations = false)]
async fn csv_has_the_rows_of_the_list_and_no_formulas(pool: PgPool) {
    let service = nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await;
    Movie::new("Chosen").released("1996-05-01").on(&["1001_movies"]).insert(&pool).await;
    service.refresh().await;

    let link = Page::at(&service, "/?decade=1990&profile=Balanced").await.link("download");
    let file = Page::at(&service, &link).await;
    let filtered = Page::at(&service, "/predictions.csv?decade=1990&q=fall").await;
    let listed = Page::at(&service, "/additions.csv?decade=1990").await;

    assert_eq!(link, "/predictions.csv?decade=1990&profile=Balanced");
    assert_eq!(file.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(file.header(header::CONTENT_DISPOSITION), "attachment; filename=\"cinegraph-1990s.csv\"");
    let lines: Vec<&str> = file.text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(
        lines[0],
        "\"rank\",\"title\",\"year\",\"directors\",\"genres\",\"score\",\"likelihood\",\"probability\",\
         \"popular_opinion_points\",\"critical_acclaim_points\",\"industry_recognition_points\",\
         \"cultural_impact_points\",\"people_quality_points\",\"tmdb_id\",\"imdb_id\",\"page\""
    );
    let first = r#""1","The Fall of Éa","1999","Ada First","Drama","#;
    assert!(lines[1].starts_with(first), "{}", lines[1]);
    assert!(lines[1].ends_with(r#","1","tt0133093","/films/1-the-fall-of-ea""#), "{}", lines[1]);
    assert!(lines[2].starts_with(r#""2","'=Second()","1998","","","#), "{}", lines[2]);
    assert_eq!((lines.len(), filtered.text.lines().count(), listed.text.lines().count()), (4, 2, 2));
    assert_eq!(Page::at(&service, "/predictions.csv?decade=x").await.status, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrations = false)]
async fn csv_has_2000_rows_at_most(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    sqlx::query(
        "INSERT INTO movies (tmdb_id, title, release_date, import_status, inserted_at, updated_at)
         SELECT n, 'Film ' || n, '1999-01-01', 'full', now(), now() FROM generate_series(1, 2150) AS n",
    )
    .execute(&pool)
    .await
    .unwrap();
    service.refresh().await;

    let file = Page::at(&service, "/predictions.csv?decade=1990").await;

    let ranks: Vec<&str> = file.text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ranks.len(), 2000);
    assert!(ranks.iter().enumerate().all(|(i, rank)| *rank == format!("\"{}\"", i + 1)), "no rank is missing");
}

#[sqlx::test(migrations = false)]
async fn robots_and_icon_are_where_browsers_look_for_them(pool: PgPool) {
    let service = TestService::on(pool).await;

    let robots = Page::at(&service, "/robots.txt").await;
    let icon = service.get("/favicon.ico").await;

    assert!(robots.text.starts_with("User-agent: *\n") && robots.text.contains("Disallow: /graphql\n"));
    assert_eq!((robots.status, icon.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(icon.headers()[header::CONTENT_TYPE], "image/x-icon");
}

#[sqlx::test(migrations = false)]
async fn film_page_works_in_a_browser(pool: PgPool) {
    drop(nineties(&pool, "CINEGRAPH_CACHE_ENABLED", "true").await);
    let server = Server::with(&url(&pool), &[("CINEGRAPH_POSTER_BASE_URL", "https://images.example/t/p/")]);

    test_in_browser(&server, "film.test.mjs").await;
}
