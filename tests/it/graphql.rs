//! The schema, operation limits, and the errors that clients get.

use std::collections::BTreeSet;

use async_graphql::Positioned;
use async_graphql::parser::types::{
    FieldDefinition, InputValueDefinition, ServiceDocument, TypeKind, TypeSystemDefinition,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use cinegraph::graphql::sdl;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService, credit, person, quality};

/// Names and types that clients rely on. The schema may contain more.
const CONTRACT: &str = "
type Query {
  predictions(profile: String, weights: WeightsInput, list: String, decade: Int, filter: PredictionFilter, first: Int! = 25, after: String): PredictionConnection!
  prediction(by: MovieBy!, profile: String, weights: WeightsInput, list: String): Prediction
  confirmedAdditions(profile: String, weights: WeightsInput, list: String, decade: Int, first: Int! = 25, after: String): PredictionConnection!
  validation(profile: String, weights: WeightsInput, list: String, basis: ScoreBasis! = BLIND): Validation!
  decadeValidation(profile: String, weights: WeightsInput, list: String, decade: Int!, basis: ScoreBasis! = BLIND): DecadeValidation!
  profileComparison(list: String, basis: ScoreBasis! = BLIND): ProfileComparison!
  profiles(activeOnly: Boolean! = true): [Profile!]!
  profile(name: String!): Profile
  movie(by: MovieBy!): Movie
  movies(titleContains: String, first: Int! = 25, after: String): MovieConnection!
  lists: [MovieList!]!
  genres: [Genre!]!
  status: ServiceStatus!
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
}
type Mutation {
  createProfile(input: ProfileInput!): Profile!
  updateProfile(id: ID!, input: ProfileInput!, expectedUpdatedAt: DateTime): Profile!
  deleteProfile(id: ID!): ID!
  setDefaultProfile(id: ID!): Profile!
  invalidateCache(scope: InvalidateScope!): Invalidation!
  refreshScores(movieIds: [ID!]): RefreshJob!
}
input ProfileInput { name: String!, description: String, weights: WeightsInput!, active: Boolean! = true }
input InvalidateScope @oneOf { all: Boolean, decade: ListDecadeInput, profile: String }
input ListDecadeInput { list: String!, decade: Int! }
input MovieBy @oneOf { id: ID, tmdbId: Int, imdbId: String }
input WeightsInput { popularOpinion: Float!, criticalAcclaim: Float!, industryRecognition: Float!, culturalImpact: Float!, peopleQuality: Float! }
input PredictionFilter { minScore: Float, genres: [String!], countries: [String!], originalLanguage: String, titleContains: String, releasedFrom: Date, releasedTo: Date }
scalar Date
scalar DateTime
scalar JSON
enum ScoreBasis { BLIND AS_PUBLISHED }
enum Criterion { POPULAR_OPINION CRITICAL_ACCLAIM INDUSTRY_RECOGNITION CULTURAL_IMPACT PEOPLE_QUALITY }
enum PredictionStatus { CANDIDATE LISTED }
enum ScoreSource { SCORE_TABLE DIRECT_QUERY }
enum UnrankedReason { NO_RELEASE_DATE NOT_FULL LISTED }
interface Node { id: ID! }
type PageInfo { hasNextPage: Boolean!, hasPreviousPage: Boolean!, startCursor: String, endCursor: String }
type PredictionConnection { edges: [PredictionEdge!]!, nodes: [Prediction!]!, pageInfo: PageInfo!, totalCount: Int!, dataVersion: Int!, asOf: DateTime! }
type PredictionEdge { cursor: String!, node: Prediction! }
type Prediction { id: ID!, rank: Int, unranked: UnrankedReason, movie: Movie!, score: Float!, likelihood: Float!, breakdown: [ScoreContribution!]!, status: PredictionStatus!, coverage: Int!, computedAt: DateTime!, source: ScoreSource!, profile: Profile }
type ScoreContribution { criterion: Criterion!, value: Float!, weight: Float!, contribution: Float! }
type Validation { decades: [DecadeValidation!]!, overall: ValidationTotal!, eras: [EraValidation!]!, basis: ScoreBasis!, snapshotAt: DateTime! }
type DecadeValidation {
  decade: Int!, listed: Int!, population: Int!, hits: Int!, accuracy: Float, interval: Interval, expectedHits: Float, lift: Float, baselineAccuracy: Float, unhittable: Int!
  hitFilms(first: Int! = 25, after: String): RankedMovieConnection!
  missedFilms(first: Int! = 25, after: String): RankedMovieConnection!
  falsePositives(first: Int! = 25, after: String): RankedMovieConnection!
}
type RankedMovieConnection { edges: [RankedMovieEdge!]!, nodes: [RankedMovie!]!, pageInfo: PageInfo!, totalCount: Int! }
type RankedMovieEdge { cursor: String!, node: RankedMovie! }
type ValidationTotal { listed: Int!, population: Int!, hits: Int!, accuracy: Float, interval: Interval, expectedHits: Float, lift: Float, baselineAccuracy: Float, unhittable: Int! }
type EraValidation { name: String!, decades: [Int!]!, listed: Int!, hits: Int!, accuracy: Float }
type Interval { low: Float!, high: Float! }
type RankedMovie { rank: Int, score: Float, movie: Movie! }
type ProfileComparison { profiles: [ProfileValidation!]!, best: Profile }
type ProfileValidation { profile: Profile!, overall: ValidationTotal!, decades: [DecadeValidation!]! }
type Profile implements Node { id: ID!, name: String!, description: String, weights: Weights!, categoryWeights: JSON, isDefault: Boolean!, isSystem: Boolean!, active: Boolean!, updatedAt: DateTime! }
type Weights { popularOpinion: Float!, criticalAcclaim: Float!, industryRecognition: Float!, culturalImpact: Float!, peopleQuality: Float! }
type Movie implements Node {
  id: ID!, tmdbId: Int, imdbId: String, title: String!, releaseDate: Date, year: Int, decade: Int, originalLanguage: String, posterPath: String
  genres: [Genre!]!, countries: [Country!]!, lists: [ListMembership!]!, metrics: [Metric!]!, festivals: FestivalRecord!
  credits(department: String, first: Int! = 25, after: String): CreditConnection!
  people(first: Int! = 10): [CreditedPerson!]!
  prediction(profile: String, weights: WeightsInput, list: String): Prediction
}
type MovieConnection { edges: [MovieEdge!]!, nodes: [Movie!]!, pageInfo: PageInfo! }
type MovieEdge { cursor: String!, node: Movie! }
type MovieList { key: String!, name: String!, films: Int!, undated: Int!, decades: [ListDecade!]! }
type ListDecade { decade: Int!, listed: Int!, candidates: Int! }
type CreditConnection { edges: [CreditEdge!]!, nodes: [Credit!]!, pageInfo: PageInfo! }
type CreditEdge { cursor: String!, node: Credit! }
type Genre { name: String! }
type Country { code: String!, name: String! }
type ListMembership { key: String!, name: String!, position: Int, edition: String }
type Metric { source: String!, type: String!, value: Float, fetchedAt: DateTime! }
type FestivalRecord { wins: Int!, nominations: Int!, entries: [FestivalEntry!]! }
type FestivalEntry { organization: String!, year: Int!, category: String!, personName: String, won: Boolean! }
type CreditedPerson { person: Person!, roles: [String!]! }
type Person { id: ID!, tmdbId: Int, name: String!, quality: PersonQuality }
type PersonQuality { score: Float!, components: JSON!, calculatedAt: DateTime! }
";

/// A page with every detail of every movie.
const EVERYTHING: &str = "{
    totalCount dataVersion asOf pageInfo { hasNextPage endCursor }
    nodes {
        id rank unranked score likelihood status coverage computedAt source
        breakdown { criterion value weight contribution }
        profile { id name weights { popularOpinion peopleQuality } }
        movie {
            id tmdbId imdbId title releaseDate year decade originalLanguage posterPath
            genres { name } countries { code name } lists { key name position edition }
            metrics { source type value fetchedAt }
            festivals { wins nominations entries { organization year category personName won } }
            people(first: 10) {
                roles person { id tmdbId name quality { score components calculatedAt } }
            }
            credits(first: 10) { totalCount nodes { department job character person { name quality { score } } } }
            prediction { rank score likelihood breakdown { criterion contribution } profile { name } }
        }
    }
}";

fn page(arguments: &str) -> String {
    format!("{{ predictions({arguments}) {EVERYTHING} }}")
}

#[test]
fn committed_schema_matches_the_code() {
    let committed = include_str!("../../schema.graphql");
    assert!(committed == sdl(), "schema.graphql is not what `cinegraph schema` prints: run `make generate`");
    assert!(committed.ends_with("}\n"), "the file ends with a line break");
}

#[test]
fn the_schema_covers_the_contract() {
    let (promised, given) = (members(CONTRACT), members(&sdl()));
    let missing: Vec<_> = promised.difference(&given).collect();
    assert!(missing.is_empty(), "clients rely on:\n{missing:#?}");
}

/// Every member of a schema, one line each, with its type and default.
fn members(schema: &str) -> BTreeSet<String> {
    let ServiceDocument { definitions } = async_graphql::parser::parse_schema(schema).unwrap();
    let mut members = BTreeSet::new();
    for definition in definitions {
        let TypeSystemDefinition::Type(Positioned { node: definition, .. }) = definition else { continue };
        let name = &definition.name.node;
        for directive in definition.directives {
            members.insert(format!("{name} @{}", directive.node.name.node));
        }
        match definition.kind {
            TypeKind::Object(object) => {
                members.insert(format!("type {name}"));
                members
                    .extend(object.implements.iter().map(|interface| format!("{name} implements {}", interface.node)));
                members.extend(object.fields.iter().flat_map(|field| field_members(name, &field.node)));
            }
            TypeKind::Interface(interface) => {
                members.insert(format!("interface {name}"));
                members.extend(interface.fields.iter().flat_map(|field| field_members(name, &field.node)));
            }
            TypeKind::InputObject(input) => {
                members.extend(input.fields.iter().map(|field| argument(&format!("input {name}"), &field.node)));
            }
            TypeKind::Enum(values) => {
                members.extend(values.values.iter().map(|value| format!("enum {name} {}", value.node.value.node)));
            }
            TypeKind::Scalar | TypeKind::Union(_) => {
                members.insert(format!("{name}"));
            }
        }
    }
    members
}

fn field_members(parent: &str, field: &FieldDefinition) -> Vec<String> {
    let name = format!("{parent}.{}", field.name.node);
    let mut members: Vec<_> = field.arguments.iter().map(|one| argument(&name, &one.node)).collect();
    members.push(format!("{name}: {}", field.ty.node));
    members
}

fn argument(parent: &str, argument: &InputValueDefinition) -> String {
    let default = argument.default_value.as_ref().map(|value| format!(" = {}", value.node)).unwrap_or_default();
    format!("{parent}({}): {}{default}", argument.name.node, argument.ty.node)
}

/// Types of async-graphql, which offers no way to describe them.
const UNDESCRIBED_BY_THE_LIBRARY: [&str; 8] = [
    "CreditConnection",
    "FilmographyConnection",
    "ID",
    "ListedMovieConnection",
    "MovieConnection",
    "PersonConnection",
    "PredictionConnection",
    "RankedMovieConnection",
];

const INTROSPECTION: &str = "{ __schema { types {
    name description
    fields { name description args { name description } }
    inputFields { name description }
    enumValues { name description }
} } }";

#[tokio::test]
async fn everything_in_the_schema_is_described() {
    let data = TestService::without_database().data(INTROSPECTION).await;
    let mut silent = Vec::new();
    let mut look = |thing: &Value, name: String| {
        if thing["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            silent.push(name);
        }
    };
    for kind in data["__schema"]["types"].as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        if name.starts_with("__") {
            continue;
        }
        look(kind, name.to_owned());
        for list in ["fields", "inputFields", "enumValues"] {
            for member in kind[list].as_array().into_iter().flatten() {
                let member_name = format!("{name}.{}", member["name"].as_str().unwrap());
                look(member, member_name.clone());
                for argument in member["args"].as_array().into_iter().flatten() {
                    look(argument, format!("{member_name}({})", argument["name"].as_str().unwrap()));
                }
            }
        }
    }
    silent.retain(|name| !UNDESCRIBED_BY_THE_LIBRARY.contains(&name.as_str()));
    assert_eq!(silent, Vec::<String>::new(), "without a description");
}

/// Number of statements of one operation with cold caches, on several threads as in the program.
fn cold_statements(pool: &PgPool, query: String) -> u64 {
    let pool = pool.clone();
    let operation = async move {
        let service = TestService::on(pool).await;
        let before = service.statements();
        service.data(&query).await;
        service.statements() - before
    };
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let done = std::thread::spawn(move || threads.block_on(async { tokio::spawn(operation).await.unwrap() }));
    done.join().unwrap()
}

#[sqlx::test(migrations = false)]
async fn page_of_any_size_runs_the_same_number_of_statements(pool: PgPool) {
    TestService::on(pool.clone()).await.fill(2_000).await;
    let service = TestService::on(pool.clone()).await;
    let full = service.data(&page("decade: 2010, first: 100")).await;
    assert_eq!(full["predictions"]["nodes"].as_array().unwrap().len(), 100);
    let small = cold_statements(&pool, page("decade: 2010, first: 5"));
    let large = cold_statements(&pool, page("decade: 2010, first: 100"));
    assert_eq!(small, large);
    assert!(large <= 12, "{large} statements");
    let filter = "decade: 2010, first: 100, filter: { genres: [\"Drama\", \"Comedy\"], countries: [\"US\", \"GB\"] }";
    let filtered = cold_statements(&pool, page(filter));
    assert!(filtered <= 12, "{filtered} statements with a filter");
}

#[tokio::test]
async fn an_operation_that_costs_too_much_is_told_how_much() {
    let page = page("first: 100");
    let page = page.trim_start_matches('{').trim_end_matches('}');
    let thrice = format!("{{ a: {page} b: {page} c: {page} }}");
    let response = TestService::without_database().execute(&thrice, json!({})).await;
    insta::assert_json_snapshot!(response);
    assert_eq!(response["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
}

#[tokio::test]
async fn too_deep_operation_reports_its_depth() {
    let deep = format!("{}title{}", "prediction { movie { ".repeat(12), " } }".repeat(12));
    let query = format!("{{ movie(by: {{ tmdbId: 1 }}) {{ {deep} }} }}");
    let response = TestService::without_database().execute(&query, json!({})).await;
    let extensions = json!({ "code": "QUERY_TOO_COMPLEX", "depth": { "requested": 26, "allowed": 20 } });
    assert_eq!(response["errors"][0]["extensions"], extensions, "{response:#}");
}

#[tokio::test]
async fn introspection_query_of_graphiql_is_within_limits() {
    let of_type = format!("{} name {}", "ofType { kind name ".repeat(9), "}".repeat(9));
    let query = format!("{{ __schema {{ types {{ fields {{ args {{ type {{ {of_type} }} }} }} }} }} }}");
    TestService::without_database().data(&query).await;
}

#[sqlx::test(migrations = false)]
async fn invalid_argument_is_named(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Any").released("2021-01-01").insert(&service.pool).await;
    let names =
        |count: usize| format!("[{}]", (0..count).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(","));
    let weights = |popular: &str, rest: &str| {
        format!(
            "weights: {{ popularOpinion: {popular}, criticalAcclaim: {rest}, industryRecognition: {rest}, \
             culturalImpact: {rest}, peopleQuality: {rest} }}"
        )
    };
    let everywhere = [
        (weights("-0.1", "1"), "weights.popularOpinion"),
        (weights("1000000.5", "1"), "weights.popularOpinion"),
        (weights("1", "-1"), "weights.criticalAcclaim"),
        (weights("0", "0"), "weights"),
        (format!("profile: \"Balanced\", {}", weights("1", "1")), "weights"),
    ];
    let by_decade = [
        ("decade: 1995".to_owned(), "decade"),
        ("decade: -10".to_owned(), "decade"),
        ("decade: 2147483640".to_owned(), "decade"),
    ];
    let by_page = [
        ("first: 0".to_owned(), "first"),
        ("first: 101".to_owned(), "first"),
        ("first: -1".to_owned(), "first"),
        ("after: \"nonsense\"".to_owned(), "after"),
        ("after: \"\"".to_owned(), "after"),
    ];
    let by_filter = [
        ("minScore: 101".to_owned(), "filter.minScore"),
        ("minScore: -1".to_owned(), "filter.minScore"),
        ("releasedFrom: \"2021-02-01\", releasedTo: \"2021-01-31\"".to_owned(), "filter.releasedFrom"),
        (format!("genres: {}", names(51)), "filter.genres"),
        (format!("countries: {}", names(51)), "filter.countries"),
        (r#"genres: ["a\u0000"]"#.to_owned(), "filter.genres"),
        (r#"countries: ["\u0000"]"#.to_owned(), "filter.countries"),
        (r#"originalLanguage: "\u0000""#.to_owned(), "filter.originalLanguage"),
        (r#"titleContains: "\u0000""#.to_owned(), "filter.titleContains"),
        (format!("titleContains: \"{}\"", "x".repeat(201)), "filter.titleContains"),
    ];
    let mut cases = Vec::new();
    for (arguments, field) in everywhere.iter().chain(&by_decade).chain(&by_page) {
        cases.push((format!("{{ predictions({arguments}) {{ totalCount }} }}"), *field));
        cases.push((format!("{{ confirmedAdditions({arguments}) {{ totalCount }} }}"), *field));
    }
    for (filter, field) in &by_filter {
        cases.push((format!("{{ predictions(filter: {{ {filter} }}) {{ totalCount }} }}"), *field));
    }
    for (arguments, field) in &everywhere {
        cases.push((format!("{{ validation({arguments}) {{ basis }} }}"), *field));
        cases.push((format!("{{ decadeValidation(decade: 2020, {arguments}) {{ decade }} }}"), *field));
        cases.push((format!("{{ prediction(by: {{ tmdbId: 1 }}, {arguments}) {{ id }} }}"), *field));
        cases.push((format!("{{ movie(by: {{ tmdbId: 1 }}) {{ prediction({arguments}) {{ id }} }} }}"), *field));
    }
    for (arguments, field) in &by_decade {
        cases.push((format!("{{ decadeValidation({arguments}) {{ decade }} }}"), *field));
    }
    for (arguments, field) in &by_page {
        cases.push((format!("{{ movies(titleContains: \"a\", {arguments}) {{ nodes {{ id }} }} }}"), *field));
        cases.push((format!("{{ movie(by: {{ tmdbId: 1 }}) {{ credits({arguments}) {{ totalCount }} }} }}"), *field));
    }
    for first in ["0", "101", "-1"] {
        cases.push((format!("{{ movie(by: {{ tmdbId: 1 }}) {{ people(first: {first}) {{ roles }} }} }}"), "first"));
    }
    cases.push((r#"{ movies(titleContains: "") { nodes { id } } }"#.to_owned(), "titleContains"));
    cases.push((r#"{ movies(titleContains: "\u0000") { nodes { id } } }"#.to_owned(), "titleContains"));
    cases.push(("{ movie(by: { tmdbId: -1 }) { id } }".to_owned(), "by.tmdbId"));
    cases.push(("{ prediction(by: { tmdbId: -1 }) { id } }".to_owned(), "by.tmdbId"));
    cases.push(("{ movie(by: { id: \"nonsense\" }) { id } }".to_owned(), "by.id"));
    let profile = service.data("{ profile(name: \"Balanced\") { id } }").await;
    cases.push((format!("{{ movie(by: {{ id: {} }}) {{ id }} }}", profile["profile"]["id"]), "by.id"));
    cases.push((format!("{{ nodes(ids: {}) {{ id }} }}", names(101)), "ids"));
    cases.push(("{ decadeValidation(decade: 2020, list: \"other\", basis: BLIND) { decade } }".to_owned(), "basis"));

    Movie::new("Elsewhere").released("2021-01-01").on(&["other"]).insert(&service.pool).await;
    service.refresh().await;
    for (query, field) in cases {
        assert_eq!(service.refusal(&query).await, ("BAD_USER_INPUT".to_owned(), Some(field.to_owned())), "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn argument_that_names_nothing_is_not_found(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Any").released("2021-01-01").insert(&service.pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET active = false WHERE name = 'Cult Classic'")
        .execute(&service.pool)
        .await
        .unwrap();
    service.refresh().await;
    let fields = [
        "predictions(ARGUMENT) { totalCount }",
        "confirmedAdditions(ARGUMENT) { totalCount }",
        "prediction(by: { tmdbId: 1 }, ARGUMENT) { id }",
        "validation(ARGUMENT) { basis }",
        "decadeValidation(decade: 2020, ARGUMENT) { decade }",
        "movie(by: { tmdbId: 1 }) { prediction(ARGUMENT) { id } }",
    ];
    for (argument, field) in
        [("profile: \"Missing\"", "profile"), ("profile: \"Cult Classic\"", "profile"), ("list: \"no_list\"", "list")]
    {
        for root_field in fields {
            let query = format!("{{ {} }}", root_field.replace("ARGUMENT", argument));
            assert_eq!(service.refusal(&query).await, ("NOT_FOUND".to_owned(), Some(field.to_owned())), "{query}");
        }
    }
    let profile = service.data("{ prediction(by: { tmdbId: 1 }, profile: \"bALANCED\") { profile { name } } }").await;
    assert_eq!(profile["prediction"]["profile"]["name"], "Balanced", "case does not matter");
    let comparison = service.refusal("{ profileComparison(list: \"no_list\") { best { name } } }").await;
    assert_eq!(comparison, ("NOT_FOUND".to_owned(), Some("list".to_owned())));
}

#[sqlx::test(migrations = false)]
async fn missing_objects_are_null_without_an_error(pool: PgPool) {
    let service = TestService::on(pool).await;
    let gone = Movie::new("Gone").insert(&service.pool).await;
    let id = service.data("{ movie(by: { tmdbId: 1 }) { id } }").await["movie"]["id"].clone();
    sqlx::query("DELETE FROM movies WHERE id = $1").bind(gone).execute(&service.pool).await.unwrap();
    service.later(TimeDelta::days(1));

    let data = service
        .data(&format!(
            "{{ byTmdb: movie(by: {{ tmdbId: 1 }}) {{ id }} byImdb: movie(by: {{ imdbId: \"tt1\" }}) {{ id }}
                byNul: movie(by: {{ imdbId: \"\\u0000\" }}) {{ id }} byId: movie(by: {{ id: {id} }}) {{ id }}
                prediction(by: {{ tmdbId: 1 }}) {{ id }} profile(name: \"Missing\") {{ id }}
                node(id: {id}) {{ id }} nonsense: node(id: \"nonsense\") {{ id }} }}"
        ))
        .await;

    let there: Vec<_> = data.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).collect();
    assert!(there.is_empty(), "{there:?}");
}

/// Global ID of a person.
fn person_id(id: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("Person:{id}"))
}

#[sqlx::test(migrations = false)]
async fn node_loads_a_person_with_their_quality(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movie = Movie::new("Film").released("1994-01-01").insert(&service.pool).await;
    let ann = person(&service.pool, "Ann Lee").await;
    credit(&service.pool, movie, ann, Some("Director")).await;
    let credited = service.data("{ movie(by: { tmdbId: 1 }) { people { person { id } } } }").await;
    let id = credited["movie"]["people"][0]["person"]["id"].as_str().unwrap().to_owned();
    let node =
        format!("{{ node(id: \"{id}\") {{ __typename id ... on Person {{ tmdbId name quality {{ score }} }} }} }}");

    let expected =
        json!({ "node": { "__typename": "Person", "id": id, "tmdbId": 1, "name": "Ann Lee", "quality": null } });
    assert_eq!(service.data(&node).await, expected);
    let before = service.statements();
    assert_eq!(service.data(&node).await, expected);
    assert_eq!(service.statements(), before, "served from the cache");

    quality(&service.pool, ann, Some(55.0)).await;
    service.refresh_scores().await;
    assert_eq!(service.data(&node).await["node"]["quality"]["score"], 55.0);
    assert_eq!(service.data(&format!("{{ node(id: \"{}\") {{ id }} }}", person_id(99))).await["node"], json!(null));
}

#[sqlx::test(migrations = false)]
async fn people_of_one_request_are_loaded_together(pool: PgPool) {
    let service = TestService::on(pool).await;
    let mut ids = Vec::new();
    for name in ["Ann Lee", "Bob Roy", "Cat Day"] {
        ids.push(person_id(person(&service.pool, name).await));
    }
    let before = service.statements();
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Person { name quality { score } } } }";
    let response = service.execute(query, json!({ "ids": ids })).await;
    assert_eq!(response["data"]["nodes"][2]["name"], "Cat Day");
    assert_eq!(service.statements() - before, 2, "people and their quality");
}

#[sqlx::test(migrations = false)]
async fn nodes_are_in_the_order_of_their_ids(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["A", "B"] {
        Movie::new(title).insert(&service.pool).await;
    }
    let ids = service.data("{ a: movie(by: { tmdbId: 1 }) { id } b: movie(by: { tmdbId: 2 }) { id } profile(name: \"Balanced\") { id } }").await;
    let id = |name: &str| ids[name]["id"].as_str().unwrap();
    let ann = person_id(person(&service.pool, "Ann Lee").await);
    let requested = [id("b"), "nonsense", id("profile"), &ann, id("a"), id("b")];
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) {
                   id ... on Movie { title } ... on Person { name } ... on Profile { name } } }";

    let response = service.execute(query, json!({ "ids": requested })).await;

    let named = |node: &Value| node.get("title").or(node.get("name")).cloned().unwrap_or_default();
    let names: Vec<_> = response["data"]["nodes"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(names, [json!("B"), json!(null), json!("Balanced"), json!("Ann Lee"), json!("A"), json!("B")]);
}

#[sqlx::test(migrations = false)]
async fn node_computes_a_prediction_again(pool: PgPool) {
    let service = TestService::on(pool).await;
    for (title, rating) in [("A", 9.0), ("B", 8.0)] {
        let movie = Movie::new(title).released("1994-05-01").rated(rating, rating).popularity(rating);
        movie.metric("metacritic", "metascore", 8.0 * rating).insert(&service.pool).await;
    }
    service.refresh().await;
    let weights = "weights: { popularOpinion: 3, criticalAcclaim: 1, industryRecognition: 0, culturalImpact: 1, peopleQuality: 0 },";
    let page = |ranking: &str| {
        format!(
            "{{ predictions({ranking} decade: 1990) {{ nodes {{ id rank score profile {{ name }} movie {{ title }} }} }} }}"
        )
    };
    for ranking in ["", r#"profile: "Cult Classic","#, weights] {
        let nodes = service.data(&page(ranking)).await["predictions"]["nodes"].take();
        let ids: Vec<_> = nodes.as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
        let query = "query ($ids: [ID!]!) { nodes(ids: $ids) {
                       id ... on Prediction { rank score profile { name } movie { title } } } }";
        let response = service.execute(query, json!({ "ids": ids })).await;
        assert_eq!(response["data"]["nodes"], nodes, "{ranking}");
    }
    // No such list, movie or learned ranking; damaged texts.
    let id = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let one = format!("{:016x}", 0.2_f64.to_bits());
    let shares = [one.as_str(); 5].join(" ");
    let gone = [
        format!("Prediction:1:no_list {shares}"),
        format!("Prediction:999:1001_movies {shares}"),
        format!("Prediction:1:1001_movies {shares} Learned"),
        format!("Prediction:1:1001_movies {}", [format!("{:016x}", f64::NAN.to_bits()).as_str(); 5].join(" ")),
        "Prediction:1:".to_owned(),
        "Prediction:1".to_owned(),
    ];
    for text in gone {
        let query = format!("{{ node(id: \"{}\") {{ id }} }}", id(&text));
        assert_eq!(service.data(&query).await, json!({ "node": null }), "{text}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_field_that_fails_leaves_the_rest_of_the_answer(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movie = Movie::new("Standing").released("2021-01-01").insert(&service.pool).await;
    credit(&service.pool, movie, person(&service.pool, "Ann Lee").await, Some("Director")).await;
    service.refresh().await;
    sqlx::query("ALTER TABLE person_metrics RENAME TO elsewhere").execute(&service.pool).await.unwrap();

    let query = "{ predictions { nodes { movie { title people { person { name quality { score } } } } } } }";
    let response = service.execute(query, json!({})).await;

    insta::assert_json_snapshot!(response);
    assert_eq!(response["data"]["predictions"]["nodes"][0]["movie"]["title"], "Standing");
}

#[sqlx::test(migrations = false)]
async fn database_error_text_never_reaches_clients(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    let movie = Movie::new("Any").released("2021-01-01").on(&["1001_movies"]).genre("Drama").country("US");
    movie.insert(&service.pool).await;
    person(&service.pool, "Anyone").await;
    service.refresh().await;
    let fields = [
        "predictions { totalCount }",
        "predictions(filter: { genres: [\"Drama\"], countries: [\"US\"] }) { totalCount }",
        "people(search: \"a\") { nodes { movies { nodes { title } } } }",
        "defaults { list decade }",
        "confirmedAdditions { totalCount }",
        "validation { basis }",
        "profiles { name }",
        "lists { key }",
        "genres { name }",
        "movies(titleContains: \"a\") { nodes { title } }",
        "status { version }",
        "movie(by: { tmdbId: 1 }) { genres { name } }",
        "movie(by: { tmdbId: 1 }) { countries { code } }",
        "movie(by: { tmdbId: 1 }) { metrics { value } }",
        "movie(by: { tmdbId: 1 }) { festivals { wins } }",
        "movie(by: { tmdbId: 1 }) { people { person { quality { score } } } }",
        "movie(by: { tmdbId: 1 }) { prediction { score } }",
    ];
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema IN ('public', 'cinegraph') AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\\_%'
         ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut codes_and_messages = BTreeSet::new();
    for table in &tables {
        let cold = TestService::on(pool.clone()).await;
        let (schema, name) = table.split_once('.').unwrap();
        let rename = |from: &str, to: &str| sqlx::AssertSqlSafe(format!("ALTER TABLE {schema}.{from} RENAME TO {to}"));
        sqlx::query(rename(name, "elsewhere")).execute(&pool).await.unwrap();
        for field in fields {
            let response = cold.execute(&format!("{{ {field} }}"), json!({})).await;
            for error in response["errors"].as_array().into_iter().flatten() {
                codes_and_messages.insert(format!("{} {}", error["extensions"], error["message"]));
            }
        }
        sqlx::query(rename("elsewhere", name)).execute(&pool).await.unwrap();
    }
    let only = r#"{"code":"INTERNAL"} "Internal server error.""#;
    assert_eq!(codes_and_messages, BTreeSet::from([only.to_owned()]));
}

#[tokio::test]
async fn a_service_without_its_database_says_when_to_ask_again() {
    let response = TestService::without_database().execute("{ predictions { totalCount } }", json!({})).await;
    insta::assert_json_snapshot!(response);
    assert_eq!(response["errors"][0]["extensions"], json!({ "code": "SERVICE_UNAVAILABLE", "retryAfter": 1 }));
}
