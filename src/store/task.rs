//! Background tasks. They are defined in the store because the table `cinegraph.tasks` contains their names.

use crate::telemetry::label;

label! {
    /// A background task.
    Task {
        CacheWarm = "cache_warm",
        ScoreDrain = "score_drain",
        ScoreRefresh = "score_refresh",
        SnapshotRefresh = "snapshot_refresh",
        PersonQuality = "person_quality",
        ModelTrain = "model_train",
    }
}
