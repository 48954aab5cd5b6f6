//! Epochs: which history of the data the versions count.
//!
//! Equal counters of two databases, or of two histories of one database, say nothing about each other. After a failover
//! that lost changes, a restore, or a detach and attach, the counters run over the same numbers a second time.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The identity of a database, as one of its servers shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Random value, drawn when the schema was created or by `cinegraph migrate --new-identity`.
    pub schema: String,
    /// Numbers of the database in its cluster and of our table in it: a copy within the cluster has others.
    pub objects: String,
    /// PostgreSQL's system identifier of the cluster; `None` if the role may not read it.
    pub system: Option<String>,
    /// The timeline, which each promotion of a standby raises; `None` if the role may not read it.
    pub timeline: Option<i32>,
    /// Whether the server replays the changes of another one, and may lack the latest.
    pub is_standby: bool,
}

impl Identity {
    /// The epoch of versions that are read from this server.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let hash = Sha256::digest(self.to_string()).first_chunk().copied().map_or(1, u64::from_be_bytes);
        // Zero and the maximum are reserved.
        Epoch(hash.clamp(1, u64::MAX - 1))
    }

    /// This identity, with the parts that the server has shown before where it does not show them now: an error that
    /// passes must not look like another database.
    pub(super) fn completed_by(self, before: &Self) -> Self {
        let is_same =
            self.schema == before.schema && self.objects == before.objects && self.is_standby == before.is_standby;
        if !is_same {
            return self;
        }
        let Self { system, timeline, .. } = before.clone();
        Self { system: self.system.or(system), timeline: self.timeline.or(timeline), ..self }
    }

    /// Whether `replica` is a standby of this server. What either of them does not show is not compared: a role that may
    /// not read the timeline could otherwise use no replica.
    pub(super) fn is_replicated_by(&self, replica: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        self.schema == replica.schema
            && self.objects == replica.objects
            && agree(self.system.as_ref(), replica.system.as_ref())
            && agree(self.timeline.as_ref(), replica.timeline.as_ref())
    }
}

/// All parts, for the log.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, objects, system, timeline, is_standby } = self;
        write!(f, "{schema}/{objects}/{}/", system.as_deref().unwrap_or("-"))?;
        match timeline {
            // The timeline that a standby receives may change before it has replayed the changes of the former one.
            _ if *is_standby => f.write_str("standby"),
            Some(timeline) => write!(f, "{timeline}"),
            None => f.write_str("-"),
        }
    }
}

/// Identifies the history that data versions belong to: a hash of the [`Identity`]. Versions of different epochs are not
/// comparable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub(super) u64);

impl Epoch {
    /// Before the first read of the versions.
    pub const UNKNOWN: Self = Self(0);

    /// Of a value that was derived from values of different epochs. No data has it.
    pub(super) const MIXED: Self = Self(u64::MAX);

    /// Whether it is the epoch of a database, so that other processes understand it.
    #[must_use]
    pub fn is_known(self) -> bool {
        self != Self::UNKNOWN && self != Self::MIXED
    }

    /// The epoch as a number.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The epoch with this number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
