//! Connections: whole lists by pages, and cursors, through the public door.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Film, TestService};

/// A decade of films with only four different scores: candidates, listed films, and some that are not full.
async fn decade_of_ties(pool: &PgPool) {
    for number in 0..60_u16 {
        let rating = f64::from(number * 7 % 4);
        let mut film = Film::new(&format!("Film {number}")).released("1995-06-15").rated(rating, rating);
        if number % 3 != 0 {
            film = film.on(&["1001_movies"]);
        }
        if number % 10 == 1 {
            film = film.soft();
        }
        film.insert(pool).await;
    }
}

/// Where a connection is found: the query around it, with `PAGE` for `first: …, after: …`, and the path to it.
struct Door {
    query: &'static str,
    path: &'static str,
}

const DOORS: [Door; 5] = [
    Door { query: "predictions(decade: 1990, PAGE) CONNECTION", path: "/predictions" },
    Door { query: "confirmedAdditions(decade: 1990, PAGE) CONNECTION", path: "/confirmedAdditions" },
    Door { query: "decadeValidation(decade: 1990) { hitFilms(PAGE) CONNECTION }", path: "/decadeValidation/hitFilms" },
    Door {
        query: "decadeValidation(decade: 1990) { missedFilms(PAGE) CONNECTION }",
        path: "/decadeValidation/missedFilms",
    },
    Door {
        query: "decadeValidation(decade: 1990) { falsePositives(PAGE) CONNECTION }",
        path: "/decadeValidation/falsePositives",
    },
];

impl Door {
    fn asked(&self, page: &str) -> String {
        const CONNECTION: &str = "{ totalCount pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
                                    edges { cursor node { rank score movie { title } } } nodes { rank } }";
        format!("{{ {} }}", self.query.replace("PAGE", page).replace("CONNECTION", CONNECTION))
    }

    async fn page(&self, service: &TestService, first: usize, after: Option<&str>) -> Value {
        let after = after.map(|cursor| format!(", after: \"{cursor}\"")).unwrap_or_default();
        let mut data = service.data(&self.asked(&format!("first: {first}{after}"))).await;
        data.pointer_mut(self.path).unwrap().take()
    }

    async fn first_cursor(&self, service: &TestService) -> String {
        self.page(service, 1, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned()
    }
}

fn nodes(page: &Value) -> Vec<Value> {
    page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

#[sqlx::test(migrations = false)]
async fn pages_of_any_size_joined_are_the_whole_list(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    for door in DOORS {
        let whole = nodes(&door.page(&service, 100, None).await);
        assert!(whole.len() > 5, "{}: {} films", door.path, whole.len());
        for size in (1..=9).chain(whole.len() - 1..=whole.len() + 1) {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = door.page(&service, size, after.as_deref()).await;
                assert_eq!(page["totalCount"], whole.len(), "{}", door.path);
                assert_eq!(page["pageInfo"]["hasPreviousPage"], !walked.is_empty(), "{}", door.path);
                walked.extend(nodes(&page));
                after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(walked, whole, "{} by {size}", door.path);
        }
    }
}

#[sqlx::test(migrations = false)]
async fn ties_are_in_the_order_of_import(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let predicted = nodes(&DOORS[0].page(&service, 100, None).await);
    let mut expected: Vec<(u16, u16)> =
        (0..60).filter(|n| n % 3 == 0 && n % 10 != 1).map(|n| (3 - n * 7 % 4, n)).collect();
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, number)| format!("Film {number}")).collect();
    let titles: Vec<_> = predicted.iter().map(|node| node["movie"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles, expected);
    let ranks: Vec<_> = predicted.iter().map(|node| node["rank"].clone()).collect();
    assert_eq!(ranks, (1..=expected.len()).map(|rank| json!(rank)).collect::<Vec<_>>());
}

#[sqlx::test(migrations = false)]
async fn a_page_past_the_end_is_empty(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    for door in DOORS {
        let last = door.page(&service, 100, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let page = door.page(&service, 10, Some(&last)).await;
        let info = json!({"hasPreviousPage": true, "hasNextPage": false, "startCursor": null, "endCursor": null});
        assert_eq!((nodes(&page), &page["pageInfo"]), (vec![], &info), "{}", door.path);
    }
}

#[sqlx::test(migrations = false)]
async fn a_cursor_of_another_list_is_refused(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    Film::new("Elsewhere").released("1995-01-01").on(&["other"]).insert(&service.pool).await;
    service.refresh().await;
    let of_predictions = DOORS[0].first_cursor(&service).await;
    let mut cases = Vec::new();
    for arguments in [
        "decade: 1980",
        "decade: 1990, list: \"other\"",
        "decade: 1990, profile: \"Cult Classic\"",
        "decade: 1990, weights: { popularOpinion: 2, criticalAcclaim: 1, industryRecognition: 1, culturalImpact: 1, \
         peopleQuality: 1 }",
        "decade: 1990, filter: { minScore: 0 }",
        "decade: 1990, filter: { titleContains: \"Film\" }",
    ] {
        cases.push(format!("{{ predictions({arguments}, after: \"{of_predictions}\") {{ totalCount }} }}"));
    }
    for door in &DOORS {
        let cursor = door.first_cursor(&service).await;
        for other in DOORS.iter().filter(|other| other.path != door.path) {
            cases.push(other.asked(&format!("after: \"{cursor}\"")));
        }
    }
    let hit = DOORS[2].first_cursor(&service).await;
    for arguments in ["decade: 1990, basis: AS_PUBLISHED", "decade: 1980", "decade: 1990, profile: \"Cult Classic\""] {
        cases.push(format!("{{ decadeValidation({arguments}) {{ hitFilms(after: \"{hit}\") {{ totalCount }} }} }}"));
    }
    for cut in [1, of_predictions.len() - 4] {
        let damaged = &of_predictions[..cut];
        cases.push(format!("{{ predictions(decade: 1990, after: \"{damaged}\") {{ totalCount }} }}"));
    }
    cases.push(format!("{{ predictions(decade: 1990, after: \"{of_predictions}AAAA\") {{ totalCount }} }}"));
    for query in cases {
        assert_eq!(service.refusal(&query).await, ("BAD_USER_INPUT".into(), Some("after".into())), "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_cursor_outlives_its_film(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let before = nodes(&DOORS[0].page(&service, 100, None).await);
    let page = DOORS[0].page(&service, 4, None).await;
    let (title, cursor) = (&page["edges"][3]["node"]["movie"]["title"], page["edges"][3]["cursor"].as_str().unwrap());
    let deleted = sqlx::query("DELETE FROM movies WHERE title = $1").bind(title.as_str()).execute(&service.pool).await;
    assert_eq!(deleted.unwrap().rows_affected(), 1);
    service.refresh().await;

    let next = nodes(&DOORS[0].page(&service, 100, Some(cursor)).await);

    let titles = |nodes: &[Value]| nodes.iter().map(|node| node["movie"]["title"].clone()).collect::<Vec<_>>();
    assert_eq!(titles(&next), titles(&before[4..]));
}

#[sqlx::test(migrations = false)]
async fn weights_and_the_profile_that_has_them_share_cursors(pool: PgPool) {
    const WEIGHTS: &str = "popularOpinion criticalAcclaim industryRecognition culturalImpact peopleQuality";
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let profiles = service.data(&format!("{{ profiles {{ name weights {{ {WEIGHTS} }} }} }}")).await;
    for profile in profiles["profiles"].as_array().unwrap() {
        let ask = |arguments: String| {
            format!(
                "{{ predictions(decade: 1990, first: 3, {arguments}) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
            )
        };
        let by_name = service.data(&ask(format!("profile: {}", profile["name"]))).await;
        let cursor = &by_name["predictions"]["pageInfo"]["endCursor"];
        let weights = WEIGHTS.split(' ').map(|name| format!("{name}: {}", profile["weights"][name]));
        let weights = format!("weights: {{ {} }}", weights.collect::<Vec<_>>().join(", "));

        let by_weights = service.data(&ask(weights.clone())).await;
        assert_eq!(by_weights, by_name, "{}", profile["name"]);
        service.data(&ask(format!("{weights}, after: {cursor}"))).await;
    }
}
