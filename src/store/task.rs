//! Background tasks, under the names that the database has for them.

use crate::telemetry::label;

label! {
    /// A background task.
    Task {
        CacheWarm = "cache_warm",
        ScoreDrain = "score_drain",
        ScoreRefresh = "score_refresh",
        SnapshotRefresh = "snapshot_refresh",
        PersonQuality = "person_quality",
    }
}
