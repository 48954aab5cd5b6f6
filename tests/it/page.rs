//! The predictions page: complete by links and forms alone, made by the door, and bringing nothing from elsewhere.

use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Film, TestService};

/// A page as it came.
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Page {
    async fn at(service: &TestService, uri: &str) -> Self {
        let (parts, body) = service.get(uri).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The titles of its films, in order.
    fn titles(&self) -> Vec<String> {
        let list = self.text.split("<template").next().unwrap();
        self.each(list, "data-field=\"title\">", "</a>")
    }

    /// Where the link leads that has this text or attribute.
    fn link(&self, with: &str) -> String {
        let anchors = self.each(&self.text, "<a ", "</a>");
        let anchor = anchors.iter().find(|anchor| anchor.contains(with)).unwrap_or_else(|| panic!("no link {with}"));
        let href = anchor.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        href.replace("&#38;", "&")
    }

    fn each(&self, text: &str, from: &str, to: &str) -> Vec<String> {
        text.split(from).skip(1).map(|rest| rest.split(to).next().unwrap().to_owned()).collect()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sixty films of the 2020s, the better the higher their number, two of them on the list.
async fn twenties(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    for number in 0..60_u16 {
        let rating = 3.0 + f64::from(number) / 10.0;
        let film = Film::new(&format!("Film {number}")).released("2021-06-15").rated(rating, rating);
        let film = film.genre(if number % 2 == 0 { "Drama" } else { "Comedy" });
        let film = if number % 30 == 5 { film.on(&["1001_movies"]) } else { film };
        film.insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

#[sqlx::test(migrations = false)]
async fn the_first_view_is_complete(pool: PgPool) {
    let service = twenties(pool).await;

    let page = Page::at(&service, "/").await;

    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    let titles = page.titles();
    assert_eq!(titles.len(), 25);
    assert_eq!(titles[..2], ["Film 59", "Film 58"]);
    for part in ["58</span> films", "2 of 4 ratings known", "Crowd Pleaser", "published scale"] {
        assert!(page.text.contains(part), "{part} is missing");
    }
    assert!(!page.text.contains("Country"), "a filter without values in the data is hidden");
}

#[sqlx::test(migrations = false)]
async fn links_lead_through_all_films_and_back(pool: PgPool) {
    let service = twenties(pool).await;
    let mut pages = vec![Page::at(&service, "/?decade=2020").await];

    while pages.last().unwrap().text.contains("rel=\"next\"") {
        let next = pages.last().unwrap().link("rel=\"next\"");
        pages.push(Page::at(&service, &next).await);
    }

    let mut titles: Vec<_> = pages.iter().flat_map(Page::titles).collect();
    assert_eq!((pages.len(), titles.len()), (3, 58));
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), 58);
    let second = Page::at(&service, &pages[2].link("rel=\"prev\"")).await;
    assert_eq!(second.titles(), pages[1].titles());
    let first = Page::at(&service, &second.link("rel=\"prev\"")).await;
    assert_eq!(first.titles(), pages[0].titles());
}

#[sqlx::test(migrations = false)]
async fn a_profile_a_filter_and_weights_are_in_the_address(pool: PgPool) {
    let service = twenties(pool).await;
    let first = Page::at(&service, "/").await;

    let profile = Page::at(&service, &first.link("data-profile=\"Cult Classic\"")).await;
    let filtered = Page::at(&service, "/?genre=comedy&q=film+1&min=").await;
    let weighed = Page::at(&service, "/?popular=100&people=0").await;

    assert!(profile.text.contains("under <span id=\"taste\">Cult Classic"));
    assert_eq!(filtered.titles(), ["Film 19", "Film 17", "Film 15", "Film 13", "Film 11", "Film 1"]);
    assert!(weighed.text.contains("weights of your own"));
    assert_eq!(weighed.titles()[0], "Film 59");
}

#[sqlx::test(migrations = false)]
async fn additions_are_a_page_of_their_own(pool: PgPool) {
    let service = twenties(pool).await;

    let page = Page::at(&service, &Page::at(&service, "/").await.link("Additions")).await;

    assert_eq!(page.titles(), ["Film 35", "Film 5"]);
}

#[sqlx::test(migrations = false)]
async fn an_address_that_cannot_be_meant_is_answered_by_a_way_on(pool: PgPool) {
    let service = twenties(pool).await;

    let refused = [
        ("/?decade=1995", StatusCode::BAD_REQUEST),
        ("/?decade=soon", StatusCode::BAD_REQUEST),
        ("/?profile=Nobody", StatusCode::NOT_FOUND),
        ("/?popular=0", StatusCode::BAD_REQUEST),
        ("/?after=nothing", StatusCode::BAD_REQUEST),
    ];
    for (uri, status) in refused {
        let page = Page::at(&service, uri).await;

        assert_eq!(page.status, status, "{uri}");
        assert!(page.text.contains("Back to the predictions"), "{uri}");
    }
}

#[tokio::test]
async fn without_its_database_the_page_says_when_to_come_back() {
    let page = Page::at(&TestService::without_database(), "/").await;

    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!page.header(header::RETRY_AFTER).is_empty());
    assert!(page.text.contains("Try again"));
}

#[sqlx::test(migrations = false)]
async fn titles_are_text_and_never_markup(pool: PgPool) {
    let service = TestService::on(pool).await;
    let title = "<script>alert(1)</script> & \"Co\"";
    Film::new(title).released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    service.refresh().await;

    let page = Page::at(&service, "/?q=%22%3E%3Cscript%3E").await;
    let list = Page::at(&service, "/").await;

    assert_eq!(list.titles(), ["&#60;script&#62;alert(1)&#60;/script&#62; &#38; &#34;Co&#34;"]);
    assert!(!page.text.contains("\"><script>") && !list.text.contains("<script>"));
}

#[sqlx::test(migrations = false)]
async fn nothing_comes_from_elsewhere_or_stands_in_the_page_as_script_or_style(pool: PgPool) {
    let service = TestService::on(pool).await;

    let page = Page::at(&service, "/").await;

    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains("<style") && !page.text.contains(" style="));
    let sources = page.each(&page.text, "<script", "</script>").concat();
    assert!(sources.contains("src=\"/assets/") && sources.ends_with("\">"), "an inline script: {sources}");
    assert!(!page.text.contains("://"), "a link to elsewhere");
}

#[sqlx::test(migrations = false)]
async fn assets_are_kept_for_ever_under_a_name_of_their_own(pool: PgPool) {
    let service = TestService::on(pool).await;
    let page = Page::at(&service, "/").await;

    let mut paths = page.each(&page.text, "\"/assets/", "\"");
    paths.dedup();
    assert!(paths.len() >= 3);
    for path in &paths {
        let asset = Page::at(&service, &format!("/assets/{path}")).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert_eq!(asset.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    }
    let name = paths[0].split('/').nth(1).unwrap();
    assert_eq!(Page::at(&service, &format!("/assets/0123456789abcdef/{name}")).await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = false)]
async fn a_page_seen_before_asks_the_database_nothing(pool: PgPool) {
    let service = twenties(pool).await;
    let before = Page::at(&service, "/?decade=2020").await;
    let statements = service.statements();

    let again = Page::at(&service, "/?decade=2020").await;

    assert_eq!(service.statements(), statements);
    assert_eq!(again.text, before.text);
}

#[sqlx::test(migrations = false)]
async fn countries_are_told_by_code(pool: PgPool) {
    let service = TestService::on(pool).await;
    Film::new("Ailleurs").released("2021-01-01").country("FR").insert(&service.pool).await;
    Film::new("Here").released("2021-01-01").country("DE").insert(&service.pool).await;
    service.refresh().await;

    let told = service.data("{ countries { code } }").await;
    let page = Page::at(&service, "/?country=fr").await;

    assert_eq!(told["countries"], json!([{ "code": "DE" }, { "code": "FR" }]));
    assert_eq!(page.titles(), ["Ailleurs"]);
}
