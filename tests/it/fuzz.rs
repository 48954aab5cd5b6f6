//! Random valid queries from the schema: none causes an internal error.
//!
//! `CINEGRAPH_FUZZ_QUERIES=10000 make test ARGS="fuzz:: --nocapture"` runs more of them.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::support::TestService;

/// Enough to use every field and argument at least once.
const QUERIES: usize = 1500;

/// Maximum number of series per metric, so that a scrape stays small under any queries.
const SERIES: usize = 500;

/// Maximum depth of a query.
const DEEPEST: usize = 6;

const INTROSPECTION: &str = "{ __schema { types { name kind
    fields { name args { name type { ...T } } type { ...T } }
    inputFields { name type { ...T } } enumValues { name } possibleTypes { name } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

#[sqlx::test(migrations = false)]
async fn valid_queries_never_cause_internal_errors(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(300).await;
    let count = std::env::var("CINEGRAPH_FUZZ_QUERIES").ok().and_then(|number| number.parse().ok()).unwrap_or(QUERIES);
    let mut writer = Writer::new(&service).await;
    let mut outcomes = BTreeMap::<String, usize>::new();
    for _ in 0..count {
        let query = writer.query();
        let response = service.send(&query, json!({}), &[]).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let response: Value = serde_json::from_slice(&body).unwrap();
        let codes: BTreeSet<_> = response["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| error["extensions"]["code"].as_str().unwrap_or("without a code").to_owned())
            .collect();
        assert!(status < 500, "{status}: {query}\n{response:#}");
        assert!(!codes.contains("INTERNAL") && !codes.contains("without a code"), "{query}\n{response:#}");
        let outcome =
            if codes.is_empty() { "data".to_owned() } else { codes.into_iter().collect::<Vec<_>>().join(" ") };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{count} queries: {outcomes:?}");
    assert!(outcomes["data"] * 10 >= count * 7, "{outcomes:?}");
    assert_eq!(writer.unused(), BTreeSet::new(), "fields and arguments that no query used");
    let (metric, series) = largest_metric(&service);
    println!("{metric} has the most series: {series}");
    assert!(series <= SERIES, "{metric} has {series} series");
}

/// The metric with the most series, buckets included, in a scrape.
fn largest_metric(service: &TestService) -> (String, usize) {
    service.metrics.recorder.upkeep();
    let (mut of, mut series) = (String::new(), BTreeMap::<String, usize>::new());
    for line in service.metrics.recorder.render().lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            name.split(' ').next().unwrap().clone_into(&mut of);
        } else if !line.starts_with('#') {
            *series.entry(of.clone()).or_default() += 1;
        }
    }
    series.into_iter().max_by_key(|(_, series)| *series).unwrap()
}

/// A type reference of the schema: a name with `!` and `[]`.
#[derive(Clone)]
struct Typed(Value);

impl Typed {
    fn is_required(&self) -> bool {
        self.0["kind"] == "NON_NULL"
    }

    fn is_list(&self) -> bool {
        self.0["kind"] == "LIST" || self.0["ofType"]["kind"] == "LIST"
    }

    fn name(&self) -> &str {
        let mut inner = &self.0;
        while inner["name"].is_null() {
            inner = &inner["ofType"];
        }
        inner["name"].as_str().unwrap()
    }
}

/// Writes random queries that prefer fields and arguments not used before.
struct Writer {
    types: BTreeMap<String, Value>,
    used: BTreeSet<String>,
    dice: SmallRng,
    ids: Vec<String>,
    /// The IMDb id of a movie, as a GraphQL literal.
    imdb_id: String,
}

impl Writer {
    async fn new(service: &TestService) -> Self {
        let schema = service.data(INTROSPECTION).await;
        let types = schema["__schema"]["types"].as_array().unwrap().iter();
        let types = types.map(|of| (of["name"].as_str().unwrap().to_owned(), of.clone())).collect();
        let known = "{ predictions(decade: 1990, first: 5) { nodes { id movie { id credits(first: 2) { nodes { person { id } } } } } } \
                     profiles { id } }";
        let mut ids = Vec::new();
        collect_ids(&service.data(known).await, &mut ids);
        let imdb_id = service.data("{ movie(by: { tmdbId: 8 }) { imdbId } }").await["movie"]["imdbId"].to_string();
        Self { types, used: BTreeSet::new(), dice: SmallRng::seed_from_u64(7), ids, imdb_id }
    }

    fn query(&mut self) -> String {
        format!("{{ {} }}", self.some("Query", 2, 1).join(" "))
    }

    /// A random field of a type; prefers unused ones.
    fn choose(&mut self, of: &str) -> Value {
        let fields = self.types[of]["fields"].as_array().unwrap();
        let is_new = |field: &&Value| {
            let name = format!("{of}.{}", field["name"].as_str().unwrap());
            let args = field["args"].as_array().unwrap();
            let unused = |arg: &Value| !self.used.contains(&format!("{name}({})", arg["name"].as_str().unwrap()));
            !self.used.contains(&name) || args.iter().any(unused)
        };
        let new: Vec<_> = fields.iter().filter(is_new).cloned().collect();
        let all = fields.clone();
        let from = if !new.is_empty() && self.dice.random_bool(0.6) { new } else { all };
        from.choose(&mut self.dice).unwrap().clone()
    }

    /// Some distinct fields of a type.
    fn some(&mut self, of: &str, at_most: usize, depth: usize) -> Vec<String> {
        let mut chosen = Vec::<(String, String)>::new();
        for _ in 0..self.dice.random_range(1..=at_most) {
            let field = self.choose(of);
            let name = field["name"].as_str().unwrap().to_owned();
            if chosen.iter().all(|(other, _)| *other != name) {
                chosen.push((name, self.field(of, &field, depth)));
            }
        }
        chosen.into_iter().map(|(_, text)| text).collect()
    }

    fn field(&mut self, of: &str, field: &Value, depth: usize) -> String {
        let name = field["name"].as_str().unwrap();
        self.used.insert(format!("{of}.{name}"));
        let arguments = self.arguments(&format!("{of}.{name}"), &field["args"]);
        let below = self.selection(Typed(field["type"].clone()).name(), depth);
        format!("{name}{arguments}{below}")
    }

    fn arguments(&mut self, field: &str, arguments: &Value) -> String {
        let mut written = Vec::new();
        let mut weighed = false;
        for argument in arguments.as_array().unwrap() {
            let (name, typed) = (argument["name"].as_str().unwrap(), Typed(argument["type"].clone()));
            let known = format!("{field}({name})");
            // A profile and weights exclude each other.
            let excluded = weighed && ["profile", "weights"].contains(&name);
            let wanted = !self.used.contains(&known) || self.dice.random_bool(0.3);
            let optional = !typed.is_required() || argument_has_default(name);
            if optional && (excluded || !wanted) {
                continue;
            }
            weighed |= ["profile", "weights"].contains(&name);
            self.used.insert(known);
            written.push(format!("{name}: {}", self.value(name, &typed)));
        }
        if written.is_empty() { String::new() } else { format!("({})", written.join(", ")) }
    }

    fn value(&mut self, name: &str, typed: &Typed) -> String {
        if typed.is_list() {
            let inner = Typed(named(typed.name()));
            let values: Vec<_> = (0..self.dice.random_range(1..=2)).map(|_| self.value(name, &inner)).collect();
            return format!("[{}]", values.join(", "));
        }
        let of = self.types[typed.name()].clone();
        match (of["kind"].as_str().unwrap(), typed.name(), name) {
            ("ENUM", ..) => {
                let values = of["enumValues"].as_array().unwrap();
                values.choose(&mut self.dice).unwrap()["name"].as_str().unwrap().to_owned()
            }
            ("INPUT_OBJECT", "MovieBy", _) => {
                self.used.extend(["MovieBy.id", "MovieBy.tmdbId", "MovieBy.imdbId", "MovieBy.slug"].map(str::to_owned));
                let id = self.value("id", &Typed(named("ID")));
                let imdb_id = &self.imdb_id;
                let imdb = format!("{{ imdbId: {imdb_id} }}");
                let ways = [format!("{{ id: {id} }}"), "{ tmdbId: 8 }".into(), imdb, "{ slug: \"8\" }".into()];
                ways.choose(&mut self.dice).unwrap().clone()
            }
            ("INPUT_OBJECT", "PersonBy", _) => {
                self.used.extend(["id", "tmdbId", "imdbId", "slug"].map(|way| format!("PersonBy.{way}")));
                self.one_of(&[
                    "{ tmdbId: 1 }",
                    "{ imdbId: \"nm0000001\" }",
                    "{ id: \"UGVyc29uOjE\" }",
                    "{ slug: \"1\" }",
                ])
            }
            ("INPUT_OBJECT", type_name, _) => {
                let fields = of["inputFields"].as_array().unwrap();
                let mut written = Vec::new();
                for field in fields {
                    let (name, typed) = (field["name"].as_str().unwrap(), Typed(field["type"].clone()));
                    let known = format!("{type_name}.{name}");
                    if typed.is_required() || !self.used.contains(&known) || self.dice.random_bool(0.3) {
                        self.used.insert(known);
                        written.push(format!("{name}: {}", self.value(name, &typed)));
                    }
                }
                format!("{{ {} }}", written.join(", "))
            }
            (_, _, "decade") => self.dice.random_range(190..=203).to_string() + "0",
            (_, _, "first" | "top" | "limit") => self.dice.random_range(1..=6).to_string(),
            // A cursor of another ranking would be rejected; null uses the argument as well.
            (_, _, "after") => "null".into(),
            (_, _, "list" | "key") => "\"1001_movies\"".into(),
            (_, _, "profile") => self.one_of(&["\"Balanced\"", "\"Cult Classic\"", "\"missing\""]),
            (_, _, "genres") => self.one_of(&["\"Drama\"", "\"Comedy\""]),
            (_, _, "countries") => self.one_of(&["\"US\"", "\"FR\""]),
            (_, "Date", _) => self.one_of(&["\"1990-01-01\"", "\"1999-12-31\""]),
            (_, "ID", _) => format!("\"{}\"", self.ids.choose(&mut self.dice).unwrap()),
            (_, "Int", _) => self.dice.random_range(0..=100).to_string(),
            (_, "Float", _) => format!("{:.2}", self.dice.random_range(0.0..50.0_f64)),
            (_, "Boolean", _) => self.dice.random_bool(0.5).to_string(),
            _ => self.one_of(&["\"the\"", "\"a\"", "\"en\""]),
        }
    }

    fn one_of(&mut self, values: &[&str]) -> String {
        (*values.choose(&mut self.dice).unwrap()).to_owned()
    }

    /// The selection set of a type; empty for a scalar.
    fn selection(&mut self, of: &str, depth: usize) -> String {
        match self.types[of]["kind"].as_str().unwrap() {
            "OBJECT" => {
                let fields = if depth < DEEPEST { self.some(of, 4, depth + 1) } else { Vec::new() };
                format!(" {{ __typename {} }}", fields.join(" "))
            }
            "INTERFACE" | "UNION" => {
                let possible = self.types[of]["possibleTypes"].clone();
                let one =
                    possible.as_array().unwrap().choose(&mut self.dice).unwrap()["name"].as_str().unwrap().to_owned();
                let own = self.types[of]["fields"].as_array().into_iter().flatten().cloned().collect::<Vec<_>>();
                let own: Vec<_> = own.iter().map(|field| self.field(of, field, depth + 1)).collect();
                format!(" {{ {} ... on {one}{} }}", own.join(" "), self.selection(&one, depth + 1))
            }
            _ => String::new(),
        }
    }

    /// Fields and arguments that no query has used.
    fn unused(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut next = vec!["Query".to_owned()];
        while let Some(name) = next.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let of = &self.types[&name];
            next.extend(
                of["possibleTypes"].as_array().into_iter().flatten().map(|of| of["name"].as_str().unwrap().into()),
            );
            for field in of["fields"].as_array().into_iter().flatten() {
                let known = format!("{name}.{}", field["name"].as_str().unwrap());
                for argument in field["args"].as_array().unwrap() {
                    all.insert(format!("{known}({})", argument["name"].as_str().unwrap()));
                    next.push(Typed(argument["type"].clone()).name().to_owned());
                }
                next.push(Typed(field["type"].clone()).name().to_owned());
                all.insert(known);
            }
            for field in of["inputFields"].as_array().into_iter().flatten() {
                all.insert(format!("{name}.{}", field["name"].as_str().unwrap()));
                next.push(Typed(field["type"].clone()).name().to_owned());
            }
        }
        all.difference(&self.used).cloned().collect()
    }
}

/// A nullable type of that name.
fn named(name: &str) -> Value {
    json!({ "kind": "SCALAR", "name": name })
}

/// Whether the schema has a default for this non-null argument.
fn argument_has_default(name: &str) -> bool {
    ["list", "first", "basis", "limit", "top"].contains(&name)
}

fn collect_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(id) if name == "id" => ids.push(id.to_owned()),
                    _ => collect_ids(value, ids),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_ids(value, ids)),
        _ => {}
    }
}
