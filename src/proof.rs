//! Result of `cinegraph prove`: measurements for its five success criteria, and the file that stores them for the page
//! `/proof`. The measuring itself belongs to the command.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// Name of the file with the last result, in the data directory.
const FILE: &str = "proof.json";

/// What is read of the file at most. A result has some kilobytes; the owner of the directory may have put anything there.
const MAX_BYTES: u64 = 1 << 20;

// The limits of the success criteria. The project requires these values, see docs/COMMANDS.md.

/// A page load with empty caches must take less than this.
const PAGE_LOAD_MAX_SECONDS: f64 = 0.5;

/// Of the requests that use a profile, caches must serve a larger share than this.
const HIT_RATIO_MIN: f64 = 0.9;

/// Of the statements that the original would run, this service must save at least this share.
const STATEMENTS_SAVED_MIN: f64 = 0.5;

/// With ten times the users, the 99th percentile of the response times must be below this.
const P99_MAX_SECONDS: f64 = 0.05;

/// One run of `cinegraph prove`. Times are in seconds, shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When the run ended.
    pub measured_at: DateTime<Utc>,
    /// Version of the program that was measured.
    pub version: String,
    /// Movies with a score.
    pub movies: usize,
    /// Whether the movies are generated.
    pub generated: bool,
    /// First year of the decade whose page was loaded.
    pub decade: i32,
    /// Load times of the original page, and of the pages that replace it.
    pub page_load: PageLoad,
    /// How many requests of both loads in `users` a cache served.
    pub hit_ratio: HitRatio,
    /// Database statements during both loads.
    pub statements: Statements,
    /// How early the first movies of a streamed ranking arrive.
    pub progressive: Progressive,
    /// The load of the usual number of users, then that of ten times as many.
    pub users: [Load; 2],
}

/// Load times of the original page and of the pages that replace it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageLoad {
    /// Time of all statements of the original page: predictions of the decade, and a validation of each earlier decade.
    pub original_seconds: f64,
    /// Whether all of these statements ended within the time limit; if not, `original_seconds` is a lower bound.
    pub original_complete: bool,
    /// Those of these statements that ended within the time limit.
    pub original_statements: Vec<OriginalStatement>,
    /// Time to load Cinegraph's pages with the same content, `/` and `/validation`, with empty caches.
    pub cold_seconds: f64,
    /// Time to load the same two pages again.
    pub cached_seconds: f64,
}

/// One statement of the original page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginalStatement {
    /// What it computes, such as `predictions, 2020s`.
    pub name: String,
    /// Time of the faster of its two runs, or of its only run if the time limit allowed no second one.
    pub seconds: f64,
}

/// How many of the requests that repeat were served by a cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitRatio {
    /// Requests for rankings or validations that use a profile. Requests with custom weights do not count: they never
    /// repeat, so no cache can serve them.
    pub requests: u64,
    /// How many of these a cache served.
    pub hits: u64,
}

/// How many database statements the loads caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// Successful requests.
    pub requests: u64,
    /// Statements that the original would have run for the same requests.
    pub original: u64,
    /// Statements that this service ran, those of its background work included.
    pub ours: u64,
}

/// When the movies of a ranking arrive that the subscription `predictionStream` sends in batches.
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

/// A load of concurrent users. Each user has one connection, and pauses after each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Concurrent users.
    pub users: usize,
    /// Requests that succeeded.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// How long the load lasted.
    pub seconds: f64,
    /// Median of the response times of successful requests.
    pub p50_seconds: f64,
    /// 99th percentile of these response times.
    pub p99_seconds: f64,
}

/// One success criterion: the measurements as text, and whether they meet it.
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
    /// Whether the measurement of this service meets the requirement.
    pub met: bool,
}

impl HitRatio {
    fn ratio(&self) -> f64 {
        ratio(self.hits, self.requests)
    }
}

impl Statements {
    /// The share of the original's statements that this service does not need; negative if it needs more.
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
                required: format!("under {}", time(PAGE_LOAD_MAX_SECONDS)),
                met: page_load.cold_seconds < PAGE_LOAD_MAX_SECONDS,
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
                required: format!("{} fewer", percent(STATEMENTS_SAVED_MIN)),
                met: statements.saved() >= STATEMENTS_SAVED_MIN,
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
                required: format!("first movies before the rest, in {}", time(PAGE_LOAD_MAX_SECONDS)),
                // A ranking that fits into the first batch has no later batch.
                met: progressive.first_seconds < PAGE_LOAD_MAX_SECONDS
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
                required: format!("no errors, p99 under {}", time(P99_MAX_SECONDS)),
                met: tenfold.errors == 0 && tenfold.p99_seconds < P99_MAX_SECONDS,
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
    /// If the file cannot be read, is not a regular file, or was written by a version of the program with other fields.
    pub fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        // The directory may belong to another user, who could put a link or a FIFO here: reading it could show another
        // file, or wait for ever. The flags let opening fail for a link and not wait for a FIFO, and the check of the open
        // file cannot be outrun by a swap.
        let without_waiting = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(without_waiting).open(path(data_dir)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("the last result is not a regular file"));
        }
        let mut json = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut json)?;
        Ok(Some(serde_json::from_slice(&json)?))
    }

    /// Replaces the last result.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(data_dir)?;
        // A rename is atomic, so a concurrent page load reads either the old result or the new one.
        let new = data_dir.join(format!("{FILE}.new"));
        // An interrupted run may have left this file, and `create_new` would then fail.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Root may run this, although the directory belongs to the user of the embedded PostgreSQL, who could put a
        // link here to make root overwrite another file. Creating a new file fails instead of following a link.
        std::fs::File::create_new(&new)?.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, path(data_dir))
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The share of `part` in `whole`; 0 if `whole` is 0.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Formats a time in a unit that suits it: 1.2 s, 34 ms or 5.6 ms.
fn time(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

/// Formats a share as a percentage with at most one decimal, rounded down: a share just below a limit must not be shown
/// as the limit.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e3).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

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
            |proof| proof.page_load.cold_seconds = PAGE_LOAD_MAX_SECONDS,
            |proof| proof.hit_ratio.hits = 900,
            |proof| proof.statements.ours = 1001,
            |proof| proof.progressive.first_seconds = PAGE_LOAD_MAX_SECONDS,
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

    #[test]
    fn a_link_or_a_fifo_in_place_of_the_last_result_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        proof().write(dir.path()).unwrap();
        std::fs::rename(path(dir.path()), dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", path(dir.path())).unwrap();
        assert!(Proof::read(dir.path()).is_err());

        std::fs::remove_file(path(dir.path())).unwrap();
        assert!(Command::new("mkfifo").arg(path(dir.path())).status().unwrap().success());
        assert!(Proof::read(dir.path()).is_err());
    }
}
