//! The mixed load: rankings by profiles and by custom weights, and validations, in fixed shares.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Add;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use crate::cli::http_client::{Client, RESPONSE_TIMEOUT};
use crate::proof::{HitRatio, Load, Statements};
use crate::scoring::Decade;

/// How long a user looks at a response before the next request. A choice: short for a person, so that a load of seconds
/// has enough requests for a 99th percentile.
const PAUSE: Duration = Duration::from_millis(500);

/// One request in this many ranks by random weights, which no request has sent before. The same share as in the mixed
/// load of docs/PERFORMANCE.md.
const CUSTOM_ONE_IN: u32 = 10;

/// Of the requests by a profile, one in this many is a validation of all decades. A choice, about as in the mixed load.
const VALIDATION_ONE_IN: u32 = 10;

/// The operations that users send.
pub(super) struct Mix {
    /// One query for each profile.
    validations: Vec<String>,
    /// For each decade in the order of `decades`, one query for each profile.
    predictions: Vec<Vec<String>>,
    /// The decades, most requested first.
    decades: Vec<Decade>,
}

/// A request that a user will send, and what kind it is counted as.
struct Planned {
    query: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Predictions by a profile.
    Profile,
    /// Predictions by custom weights.
    Custom,
    /// Validation of a profile.
    Validation,
}

/// Counts of successful requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Predictions, by a profile or by custom weights.
    predictions: u64,
    validations: u64,
    /// The predictions and validations by a profile. A cache may serve these, but not requests with custom weights,
    /// which never repeat.
    by_profile: u64,
    /// How many of `by_profile` a cache served.
    hits: u64,
}

/// Result of one load.
pub(super) struct Outcome {
    pub(super) load: Load,
    pub(super) counts: Counts,
}

/// What one user measured, or all users together.
#[derive(Default)]
struct Measured {
    counts: Counts,
    /// Response times of the successful requests.
    times: Vec<Duration>,
    errors: u64,
}

impl Mix {
    pub(super) fn new(profiles: &[String], decades: &[Decade]) -> Self {
        let by_profile = |query: &dyn Fn(&str) -> String| profiles.iter().map(|name| query(&json_text(name))).collect();
        Self {
            validations: by_profile(&|profile| {
                format!(
                    "{{ validation(profile: {profile}) {{ overall {{ hits listed accuracy }} \
                     decades {{ decade hits listed accuracy lift }} }} }}"
                )
            }),
            predictions: decades
                .iter()
                .map(|decade| by_profile(&|profile| predictions(*decade, &format!("profile: {profile}"))))
                .collect(),
            decades: decades.to_vec(),
        }
    }

    /// A random request.
    fn next(&self, rng: &mut ChaCha8Rng) -> Planned {
        let decade = power_law(rng, self.decades.len());
        if rng.random_ratio(1, CUSTOM_ONE_IN) {
            let mut weights = String::new();
            for name in ["popularOpinion", "criticalAcclaim", "industryRecognition", "culturalImpact", "peopleQuality"]
            {
                let _ = write!(weights, "{name}: {} ", rng.random_range(1..=1_000_000));
            }
            let query = predictions(self.decades[decade], &format!("weights: {{{weights}}}"));
            return Planned { query, kind: Kind::Custom };
        }
        let profile = power_law(rng, self.validations.len());
        if rng.random_ratio(1, VALIDATION_ONE_IN) {
            Planned { query: self.validations[profile].clone(), kind: Kind::Validation }
        } else {
            Planned { query: self.predictions[decade][profile].clone(), kind: Kind::Profile }
        }
    }
}

fn predictions(decade: Decade, selection: &str) -> String {
    format!(
        "{{ predictions(decade: {}, first: 25, {selection}) {{ totalCount pageInfo {{ endCursor }} nodes {{ rank score \
         likelihood breakdown {{ contribution }} movie {{ title year genres {{ name }} }} }} }} }}",
        decade.year()
    )
}

/// A text as a string literal of JSON, which GraphQL reads as the same text.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A random index below `count`. Low indexes are the most frequent, as people open the latest decade more often than
/// others.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small counts"
)]
fn power_law(rng: &mut ChaCha8Rng, count: usize) -> usize {
    // The cube gives the first tenth of the indexes 46 % of the draws.
    let at: f64 = rng.random();
    ((count as f64 * at.powi(3)) as usize).min(count.saturating_sub(1))
}

/// Lets `users` users send requests at the same time, until `lasting` has passed.
///
/// # Errors
/// If no request succeeded. Single failed requests are only counted.
pub(super) async fn run(address: SocketAddr, mix: &Mix, users: usize, lasting: Duration) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..users {
        // The first requests are spread over the time of one pause, so that users do not send all at once.
        let begin = PAUSE.mul_f64(ratio(number, users));
        // Every user of both loads has a different seed, so that custom weights do not repeat. Each run has the same
        // seeds, so that its results can be compared with earlier ones.
        let mut rng = ChaCha8Rng::seed_from_u64((users * 1000 + number) as u64);
        // The requests are composed before the load begins, so that composing takes no time from the service. A user
        // whose responses took no time would send exactly this many.
        let plan: Vec<Planned> = (0..lasting.as_millis() / PAUSE.as_millis()).map(|_| mix.next(&mut rng)).collect();
        running.spawn(async move {
            tokio::time::sleep(begin).await;
            user(address, plan, started + lasting).await
        });
    }
    let mut all = Measured::default();
    while let Some(user) = running.join_next().await {
        let user = user?;
        all.counts = all.counts + user.counts;
        all.errors += user.errors;
        all.times.extend(user.times);
    }
    ensure!(!all.times.is_empty(), "no request succeeded under load");
    all.times.sort_unstable();
    // The nearest-rank percentile: the smallest time that at least this share of the times does not exceed.
    let percentile = |percent: usize| all.times[(all.times.len() * percent).div_ceil(100) - 1].as_secs_f64();
    let load = Load {
        users,
        requests: all.times.len() as u64,
        errors: all.errors,
        seconds: started.elapsed().as_secs_f64(),
        p50_seconds: percentile(50),
        p99_seconds: percentile(99),
    };
    Ok(Outcome { load, counts: all.counts })
}

/// One user: sends a request, waits for the response, pauses, and repeats this until the plan or the time is over. A
/// user has one connection, and opens a new one after an error.
async fn user(address: SocketAddr, plan: Vec<Planned>, until: Instant) -> Measured {
    let mut measured = Measured::default();
    let mut client = None;
    for Planned { query, kind } in plan {
        if Instant::now() >= until {
            break;
        }
        let sent = Instant::now();
        let reply = match &mut client {
            Some(client) => Client::query(client, &query).await,
            None => match Client::connect(address, RESPONSE_TIMEOUT).await {
                Ok(connected) => client.insert(connected).query(&query).await,
                Err(error) => Err(error),
            },
        };
        match reply {
            Ok(reply) => {
                measured.times.push(sent.elapsed());
                let status = reply.headers.get("cache-status").and_then(|status| status.to_str().ok());
                measured.counts.count(kind, status.is_some_and(|status| status.contains("; hit")));
            }
            Err(error) => {
                tracing::debug!(%error, "a request of the load failed");
                measured.errors += 1;
                // The state of the connection is not known, so the next request opens a new one.
                client = None;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    measured
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

impl Counts {
    fn count(&mut self, kind: Kind, hit: bool) {
        if kind == Kind::Validation {
            self.validations += 1;
        } else {
            self.predictions += 1;
        }
        if kind != Kind::Custom {
            self.by_profile += 1;
            self.hits += u64::from(hit);
        }
    }

    pub(super) fn hit_ratio(self) -> HitRatio {
        HitRatio { requests: self.by_profile, hits: self.hits }
    }

    /// `ours`, the statements of the service, beside those of the original for the same requests: one for predictions,
    /// and one for each decade of a validation.
    pub(super) fn statements(self, ours: u64, validated_decades: usize) -> Statements {
        Statements {
            requests: self.predictions + self.validations,
            original: self.predictions + self.validations * validated_decades as u64,
            ours,
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            predictions: self.predictions + other.predictions,
            validations: self.validations + other.validations,
            by_profile: self.by_profile + other.by_profile,
            hits: self.hits + other.hits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_pays_a_statement_for_each_validated_decade() {
        let mut counts = Counts::default();
        counts.count(Kind::Profile, true);
        counts.count(Kind::Custom, false);
        counts.count(Kind::Validation, false);
        assert_eq!(counts.statements(3, 12), Statements { requests: 3, original: 14, ours: 3 });
        assert_eq!(counts.hit_ratio(), HitRatio { requests: 2, hits: 1 });
    }

    #[test]
    fn the_mix_has_every_kind_and_prefers_the_first_decade() {
        let decades: Vec<Decade> = [2020, 2010, 2000].map(|year| Decade::starting(year).unwrap()).to_vec();
        let mix = Mix::new(&["A \"B\"".to_owned(), "C".to_owned()], &decades);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<Planned> = (0..1000).map(|_| mix.next(&mut rng)).collect();
        let of = |kind| drawn.iter().filter(|planned| planned.kind == kind).count();
        assert!((50..200).contains(&of(Kind::Custom)), "{}", of(Kind::Custom));
        assert!((50..200).contains(&of(Kind::Validation)), "{}", of(Kind::Validation));
        let latest = drawn.iter().filter(|planned| planned.query.contains("decade: 2020")).count();
        let earliest = drawn.iter().filter(|planned| planned.query.contains("decade: 2000")).count();
        assert!(latest > 2 * earliest && earliest > 0, "{latest}, {earliest}");
        for planned in drawn {
            async_graphql::parser::parse_query(&planned.query).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
