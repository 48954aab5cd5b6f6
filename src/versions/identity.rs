//! The identity of a database, and the epoch of its data versions, which is derived from it.
//!
//! An epoch stands for one history of the data, whose changes the versions count. Equal counters of two databases, or of
//! two histories of one database, do not mean equal data. After a failover that lost changes, a restore, or a detach and
//! attach, the counters run over the same numbers a second time, for other data.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The identity of a database, as one of its servers shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Random value, drawn when the schema is created, by `cinegraph migrate --new-identity`, and when the versions
    /// went back.
    pub schema: String,
    /// Object identifiers (OIDs) of the database and of the table `cinegraph.installation`. A copy of the database in
    /// the same cluster has others.
    pub objects: String,
    /// PostgreSQL's system identifier of the cluster; `None` if it could not be read, usually for lack of a privilege.
    pub system: Option<String>,
    /// The timeline, which each promotion of a standby raises; `None` if it could not be read, or if the server is a
    /// standby that receives none now.
    pub timeline: Option<i32>,
    /// Whether the server is a standby, which replays the changes of a primary and may lack the latest ones.
    pub is_standby: bool,
}

impl Identity {
    /// The epoch of versions that are read from this server.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        // A hash has more than eight bytes, so the default is never used.
        let hash = Sha256::digest(self.to_string()).first_chunk().copied().map_or(1, u64::from_be_bytes);
        // Zero and the maximum are reserved for `Epoch::UNKNOWN` and `Epoch::MIXED`.
        Epoch(hash.clamp(1, u64::MAX - 1))
    }

    /// This identity, with the parts that could not be read now filled in from `before`, which was read earlier: a
    /// temporary error must not look like another database. Nothing is filled in if the parts that can always be read
    /// differ.
    pub(super) fn completed_by(self, before: &Self) -> Self {
        let has_same_parts =
            self.schema == before.schema && self.objects == before.objects && self.is_standby == before.is_standby;
        if !has_same_parts {
            return self;
        }
        let Self { system, timeline, .. } = before.clone();
        Self { system: self.system.or(system), timeline: self.timeline.or(timeline), ..self }
    }

    /// Whether `replica` can be the identity of a replica of this server. A part that could not be read from one of the
    /// two is not compared: otherwise a role that may not read the timeline could use no replica.
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

/// All parts, for the log and for [`Identity::epoch`]: a change of this text changes every epoch, and so discards all
/// cached data.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, objects, system, timeline, is_standby } = self;
        write!(f, "{schema}/{objects}/{}/", system.as_deref().unwrap_or("-"))?;
        match timeline {
            // Not the timeline: a standby may receive a new one before it has replayed the last changes of the former.
            _ if *is_standby => f.write_str("standby"),
            Some(timeline) => write!(f, "{timeline}"),
            None => f.write_str("-"),
        }
    }
}

/// Identifies the history that data versions belong to: a hash of the [`Identity`]. Versions of different epochs cannot
/// be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub(super) u64);

impl Epoch {
    /// The epoch before the first read of the versions.
    pub const UNKNOWN: Self = Self(0);

    /// The epoch of a value that was derived from values of different epochs. No database has it.
    pub(super) const MIXED: Self = Self(u64::MAX);

    /// Whether this is the epoch of a database. Only such an epoch means the same to other processes.
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
