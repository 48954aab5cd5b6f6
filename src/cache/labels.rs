//! Label values of cache metrics: names of caches, tiers, results of lookups and loads.

use crate::telemetry::label;

label! {
    /// The name of a cache in metrics and spans. Several caches may share a name.
    CacheName {
        Responses = "responses",
        // Columns of scores, and the state of the snapshot.
        Columns = "columns",
        Predictions = "predictions",
        Validation = "validation",
        // Profiles, and reference data such as lists.
        Profiles = "profiles",
        // Movies and their details, and people.
        Films = "films",
    }
}

label! {
    /// A tier of a cache: in this process (L1), or shared (L2).
    Layer { L1 = "l1", L2 = "l2" }
}

label! {
    /// Result of a request's lookup; `stale`: the entry that was served is stale or, during an outage, expired.
    Lookup { HitL1 = "hit_l1", HitL2 = "hit_l2", Stale = "stale", Miss = "miss" }
}

label! {
    /// Result of a lookup in one tier.
    LayerResult { Hit = "hit", Miss = "miss", Error = "error", Timeout = "timeout" }
}

label! {
    /// An operation on one tier.
    CacheOperation { Get = "get", Set = "set", Delete = "delete" }
}

label! {
    /// Role in a single flight: the leader starts the load, followers wait for it.
    FlightRole { Leader = "leader", Follower = "follower" }
}

label! {
    /// Outcome of the refresh of a stale entry; `skipped`: a refresh of the key, or of a value that
    /// it is derived from, was running already.
    Revalidation { Ok = "ok", Error = "error", Skipped = "skipped" }
}

label! {
    /// Why an entry was stored.
    WriteReason { Miss = "miss", Revalidate = "revalidate", Warm = "warm" }
}

label! {
    /// Why an entry was removed from L1.
    Eviction { Capacity = "capacity", Expired = "expired", Invalidated = "invalidated" }
}

label! {
    /// Source of a result, from fastest to slowest. `memory`: it was computed from cached data, without a statement.
    DataSource {
        CacheFresh = "cache_fresh",
        CacheStale = "cache_stale",
        Memory = "memory",
        Database = "database",
        Fallback = "fallback",
    }
}

label! {
    /// Whose weights a result belongs to: those of a profile, or custom ones. Results that depend on no weights count as
    /// those of profiles.
    Selection { Profile = "profile", Custom = "custom" }
}

impl Selection {
    /// `Custom` if the weights are custom, that is, equal to no profile's.
    #[must_use]
    pub fn of(custom: bool) -> Self {
        if custom { Self::Custom } else { Self::Profile }
    }
}
