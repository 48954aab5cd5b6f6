//! Result of `cinegraph prove`: measurements for its five success criteria, and the file that stores them for the page
//! `/proof`. The measuring itself belongs to the command.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Name of the file with the last result, in the data directory.
const FILE: &str = "proof.json";

/// Upper bound of a cold page load, in seconds.
const PAGE_LOAD_MAX: f64 = 0.5;

/// Lower bound of the share of profile requests that a cache serves.
const HIT_RATIO_MIN: f64 = 0.9;

/// Lower bound of the share of the original's statements that are saved.
const SAVED_MIN: f64 = 0.5;

/// Upper bound of the 99th percentile with ten times the users, in seconds.
const P99_MAX: f64 = 0.05;

/// One run of `cinegraph prove`. Times are in seconds, shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When the run ended.
    pub measured_at: DateTime<Utc>,
    /// Version of the program.
    pub version: String,
    /// Movies with a score.
    pub movies: usize,
    /// Whether the movies are generated.
    pub generated: bool,
    /// First year of the decade whose page was loaded.
    pub decade: i32,
    /// The original page against this one.
    pub page_load: PageLoad,
    /// Responses from a cache under the mixed load.
    pub hit_ratio: HitRatio,
    /// Database statements under the same load.
    pub statements: Statements,
    /// Batches of a ranking that arrive before the complete ranking.
    pub progressive: Progressive,
    /// The load with the usual number of users, and with ten times as many.
    pub users: [Load; 2],
}

/// Load time of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageLoad {
    /// All statements of the original page: predictions of the decade, and validation of each earlier decade.
    pub original_seconds: f64,
    /// Whether they ended within the time limit; if not, `original_seconds` is a lower bound.
    pub original_complete: bool,
    /// Each of these statements.
    pub original_statements: Vec<OriginalStatement>,
    /// The same pages of Cinegraph with empty caches.
    pub cold_seconds: f64,
    /// The same pages requested again.
    pub cached_seconds: f64,
}

/// One statement of the original page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginalStatement {
    /// What it computes.
    pub name: String,
    /// Time of its fastest run.
    pub seconds: f64,
}

/// How many requests a cache served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitRatio {
    /// Requests for rankings by a profile.
    pub requests: u64,
    /// Of these, served from a cache.
    pub hits: u64,
}

/// How many statements the load cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// Requests of the load.
    pub requests: u64,
    /// Statements of the original for the same requests.
    pub original: u64,
    /// Statements of this service, its background reads included.
    pub ours: u64,
}

/// How a ranking arrives by `predictionStream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progressive {
    /// Movies in the first batch.
    pub first_movies: usize,
    /// From the request to the first batch.
    pub first_seconds: f64,
    /// Movies in all batches.
    pub all_movies: usize,
    /// From the request to the last batch.
    pub all_seconds: f64,
}

/// A load by several users. Each has a connection and pauses after each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Concurrent users.
    pub users: usize,
    /// Responses received.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// How long the load lasted.
    pub seconds: f64,
    /// Median of the response times.
    pub p50_seconds: f64,
    /// Their 99th percentile.
    pub p99_seconds: f64,
}

/// One criterion as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessCriterion {
    /// What is measured.
    pub name: &'static str,
    /// What the original does.
    pub original: String,
    /// What this service does.
    pub now: String,
    /// What is required.
    pub required: String,
    /// Whether the measurement meets it.
    pub met: bool,
}

impl HitRatio {
    fn ratio(&self) -> f64 {
        ratio(self.hits, self.requests)
    }
}

impl Statements {
    fn saved(&self) -> f64 {
        1.0 - ratio(self.ours, self.original)
    }
}

impl Proof {
    /// The five success criteria of `cinegraph prove`, in the order in which they are printed.
    #[must_use]
    pub fn criteria(&self) -> [SuccessCriterion; 5] {
        let Self { page_load, hit_ratio, statements, progressive, users: [usual, tenfold], .. } = self;
        let at_least = if page_load.original_complete { "" } else { "more than " };
        let per_request = |count| ratio(count, statements.requests);
        [
            SuccessCriterion {
                name: "Page load",
                original: format!("{at_least}{}", time(page_load.original_seconds)),
                now: format!("{} cold, {} cached", time(page_load.cold_seconds), time(page_load.cached_seconds)),
                required: format!("under {}", time(PAGE_LOAD_MAX)),
                met: page_load.cold_seconds < PAGE_LOAD_MAX,
            },
            SuccessCriterion {
                name: "Cache hit ratio",
                original: "no cache".to_owned(),
                now: format!("{} of {} requests", percent(hit_ratio.ratio()), hit_ratio.requests),
                required: format!("over {}", percent(HIT_RATIO_MIN)),
                met: hit_ratio.ratio() > HIT_RATIO_MIN,
            },
            SuccessCriterion {
                name: "Database statements",
                original: format!("{:.2} per request", per_request(statements.original)),
                now: format!("{:.3} per request, {} fewer", per_request(statements.ours), percent(statements.saved())),
                required: format!("{} fewer", percent(SAVED_MIN)),
                met: statements.saved() >= SAVED_MIN,
            },
            SuccessCriterion {
                name: "Progressive loading",
                original: "all at once".to_owned(),
                now: format!(
                    "first {} movies after {}, all {} after {}",
                    progressive.first_movies,
                    time(progressive.first_seconds),
                    progressive.all_movies,
                    time(progressive.all_seconds)
                ),
                required: format!("first movies before the rest, in {}", time(PAGE_LOAD_MAX)),
                met: progressive.first_seconds < PAGE_LOAD_MAX
                    && (progressive.first_seconds < progressive.all_seconds
                        || progressive.first_movies == progressive.all_movies),
            },
            SuccessCriterion {
                name: "Ten times the users",
                original: "not measured".to_owned(),
                now: format!(
                    "{} users: {} errors, p99 {} ({} users: {})",
                    tenfold.users,
                    tenfold.errors,
                    time(tenfold.p99_seconds),
                    usual.users,
                    time(usual.p99_seconds)
                ),
                required: format!("no errors, p99 under {}", time(P99_MAX)),
                met: tenfold.errors == 0 && tenfold.p99_seconds < P99_MAX,
            },
        ]
    }

    /// Whether every criterion is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.criteria().iter().all(|criterion| criterion.met)
    }

    /// Reads the last result; `None` if nothing was measured yet.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular file, or a version with other fields wrote it.
    pub fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        match path(data_dir).symlink_metadata() {
            // The directory may belong to another user, whose link or FIFO must not be read.
            Ok(metadata) if !metadata.is_file() => Err(io::Error::other("the last result is not a regular file")),
            Ok(_) => Ok(Some(serde_json::from_slice(&std::fs::read(path(data_dir))?)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the last result.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(data_dir)?;
        // A rename is atomic, so a concurrent page load reads either the old result or the new one.
        let new = data_dir.join(format!("{FILE}.new"));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The directory belongs to the user of the embedded PostgreSQL, while root may run this. A new file follows no
        // link that was put in its place.
        std::fs::File::create_new(&new)?.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, path(data_dir))
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Formats seconds with a unit, to one decimal or whole milliseconds.
fn time(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

/// Rounded down, so that a share just below a limit does not read as the limit.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e3).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Proof {
        let load =
            |users| Load { users, requests: 100, errors: 0, seconds: 5.0, p50_seconds: 0.001, p99_seconds: 0.004 };
        Proof {
            measured_at: DateTime::UNIX_EPOCH,
            version: "1.2.3".to_owned(),
            movies: 20_000,
            generated: true,
            decade: 2020,
            page_load: PageLoad {
                original_seconds: 2.04,
                original_complete: true,
                original_statements: vec![OriginalStatement { name: "predictions, 2020s".to_owned(), seconds: 0.2 }],
                cold_seconds: 0.1,
                cached_seconds: 0.002,
            },
            hit_ratio: HitRatio { requests: 1000, hits: 990 },
            statements: Statements { requests: 1000, original: 2000, ours: 40 },
            progressive: Progressive { first_movies: 25, first_seconds: 0.003, all_movies: 500, all_seconds: 0.02 },
            users: [load(32), load(320)],
        }
    }

    #[test]
    fn each_criterion_fails_alone() {
        assert!(proof().is_met());
        let faults: [fn(&mut Proof); 5] = [
            |proof| proof.page_load.cold_seconds = PAGE_LOAD_MAX,
            |proof| proof.hit_ratio.hits = 900,
            |proof| proof.statements.ours = 1001,
            |proof| proof.progressive.first_seconds = PAGE_LOAD_MAX,
            |proof| proof.users[1].errors = 1,
        ];
        for (index, fault) in faults.into_iter().enumerate() {
            let mut proof = proof();
            fault(&mut proof);
            let met: Vec<bool> = proof.criteria().iter().map(|criterion| criterion.met).collect();
            assert!(!met[index] && met.iter().filter(|met| !**met).count() == 1, "{index}: {met:?}");
        }
    }

    #[test]
    fn a_run_without_requests_meets_no_ratio() {
        let empty = HitRatio { requests: 0, hits: 0 };
        let criteria = Proof { hit_ratio: empty, ..proof() }.criteria();
        assert!(!criteria[1].met, "{criteria:?}");
    }

    #[test]
    fn an_original_that_ran_into_its_limit_is_a_lower_bound() {
        let mut proof = proof();
        proof.page_load.original_complete = false;
        assert_eq!(proof.criteria()[0].original, "more than 2.0 s");
    }

    #[test]
    fn a_share_is_never_rounded_up_to_a_limit() {
        assert_eq!(percent(0.899_99), "89.9 %");
        assert_eq!(percent(1.0), "100 %");
    }

    #[test]
    fn the_last_result_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Proof::read(dir.path()).unwrap(), None);
        proof().write(&dir.path().join("new")).unwrap();
        assert_eq!(Proof::read(&dir.path().join("new")).unwrap(), Some(proof()));
        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        assert!(Proof::read(dir.path()).is_err());
    }
}
