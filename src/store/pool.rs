//! [`Store`]: its connection pools, and how to open and close them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use tokio::sync::Semaphore;

use super::connect_errors::ConnectErrors;
use super::connection::{ServerState, options, with_statement_timeout};
use super::error::{StatementLimits, StoreError};
use super::exhaustion::PoolExhaustion;
use super::metrics::{Pool, StoreMetrics};
use super::replica_lag::{Replica, ReplicaSettings};
use crate::breaker::BreakerMetrics;
use crate::versions::Versions;

/// Connection settings. Not `Debug`, so that the URL cannot be logged with them.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`; may hold a password.
    pub url: String,
    /// Maximum number of connections.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// Time limits of statements.
    pub limits: StatementLimits,
    /// Maximum number of concurrent direct queries, which have a dedicated pool.
    pub direct_queries: u32,
}

/// The database. Most methods run one statement or transaction, which is measured under a
/// [`QueryName`](super::QueryName).
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: PgPool,
    pub(super) direct: DirectQueryPool,
    pub(super) replica: Option<Arc<Replica>>,
    pub(super) metrics: StoreMetrics,
    pub(super) limits: StatementLimits,
    pub(super) server: ServerState,
    /// Whether `pool` is exhausted.
    pub(super) exhaustion: PoolExhaustion,
    /// All pools of connections to the primary, those of stores with a dedicated pool included.
    primary_pools: Arc<Mutex<Vec<PgPool>>>,
    /// One permit, held while a connection is opened only to learn why the server refuses connections, so that an
    /// outage causes few additional connections.
    pub(super) refusal_permit: Arc<Semaphore>,
    pub(super) connect_errors: ConnectErrors,
}

/// The dedicated pool of direct queries. They are slow and only few run at a time, so that they take neither
/// connections nor much of the server's capacity from other statements.
#[derive(Debug, Clone)]
pub(super) struct DirectQueryPool {
    pub(super) pool: PgPool,
    /// As many permits as connections. A query that waits too long for a permit fails with
    /// [`StoreError::TooManyDirectQueries`]; if it waited for a connection instead, the failure would look like an
    /// outage.
    pub(super) permits: Arc<Semaphore>,
    /// How long to wait for a permit.
    pub(super) acquire_timeout: Duration,
}

impl Store {
    /// Creates the pools; connections are opened on first use.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for an invalid URL, [`StoreError::TlsFile`] if a file that it names cannot be read.
    pub fn open(settings: &DatabaseSettings, metrics: StoreMetrics) -> Result<Self, StoreError> {
        let options = options(&settings.url)?;
        let server = ServerState::new(metrics.clone());
        let pool = |connections, limit| {
            server
                .pool_options()
                .max_connections(connections)
                .acquire_timeout(settings.acquire_timeout)
                .connect_lazy_with(with_statement_timeout(options.clone(), limit))
        };
        let direct = DirectQueryPool {
            pool: pool(settings.direct_queries, settings.limits.direct_query),
            permits: Arc::new(Semaphore::new(settings.direct_queries as usize)),
            acquire_timeout: settings.acquire_timeout,
        };
        let pool = pool(settings.max_connections, settings.limits.request);
        let refusal_permit = Arc::new(Semaphore::new(1));
        let primary_pools = Arc::new(Mutex::new(vec![pool.clone(), direct.pool.clone()]));
        Ok(Self {
            pool,
            direct,
            replica: None,
            metrics,
            limits: settings.limits,
            server,
            exhaustion: PoolExhaustion::default(),
            primary_pools,
            refusal_permit,
            connect_errors: ConnectErrors::default(),
        })
    }

    /// The same store with a replica, from which columns for rankings and validations are read while it includes all
    /// versions in `known`, which the version listener keeps current. The caller runs
    /// [`poll_replica_lag`](Self::poll_replica_lag) every second.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_replica(
        self,
        settings: &ReplicaSettings,
        primary: &DatabaseSettings,
        known: Versions,
        breakers: BreakerMetrics,
    ) -> Result<Self, StoreError> {
        let options = with_statement_timeout(options(&settings.url)?, primary.limits.request);
        let server = ServerState::new(self.metrics.clone());
        let pool = server.pool_options().max_connections(primary.max_connections);
        let replica = Replica::new(settings, server, pool, primary.acquire_timeout, options, known, breakers);
        Ok(Self { replica: Some(replica.into()), ..self })
    }

    /// A store for the same database with a dedicated pool, for background work, which then takes no connections from
    /// requests. It does not use the replica.
    #[must_use]
    pub fn with_dedicated_pool(&self, max_connections: u32, acquire_timeout: Duration) -> Self {
        let options = self.pool.connect_options().as_ref().clone();
        let pool = self.server.pool_options().max_connections(max_connections).acquire_timeout(acquire_timeout);
        let pool = pool.connect_lazy_with(options);
        self.primary_pools().push(pool.clone());
        Self { pool, exhaustion: PoolExhaustion::default(), replica: None, ..self.clone() }
    }

    /// Lets connections to the primary that are opened from now on go to another port, because the server was restarted
    /// there. Connections to the old port have failed with the server.
    pub fn move_to_port(&self, port: u16) {
        for pool in self.primary_pools().iter() {
            pool.set_connect_options(pool.connect_options().as_ref().clone().port(port));
        }
    }

    /// The port that new connections to the primary go to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.pool.connect_options().get_port()
    }

    fn primary_pools(&self) -> MutexGuard<'_, Vec<PgPool>> {
        self.primary_pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports the number of idle and used connections of the pools to the metrics. Must be called regularly.
    pub fn measure_pool(&self) {
        let measure = |name, pool: &PgPool| {
            let (idle, open) = (pool.num_idle(), pool.size() as usize);
            let max = pool.options().get_max_connections() as usize;
            self.metrics.connections(name, idle, open.saturating_sub(idle), max);
        };
        // The pool of direct queries is left out: it is usually unused, and would make a full pool look half empty.
        measure(Pool::Primary, &self.pool);
        if let Some(replica) = &self.replica {
            measure(Pool::Replica, replica.pool());
        }
    }

    /// Checks every `interval` whether the pool is exhausted, and sets the metric. Never returns.
    pub async fn watch_pool(&self, interval: Duration) {
        self.exhaustion.watch(&self.pool, &self.server, &self.metrics, interval).await;
    }

    /// Since when the pool has been exhausted without a break. `None` if it is not exhausted, or if the database itself
    /// does not respond: then the fault is not in this instance.
    #[must_use]
    pub fn exhausted_since(&self) -> Option<Instant> {
        self.exhaustion.since()
    }

    /// Closes the pools of this store, but not those of stores that [`with_dedicated_pool`](Self::with_dedicated_pool)
    /// made from it.
    pub async fn close(&self) {
        self.pool.close().await;
        self.direct.pool.close().await;
        if let Some(replica) = &self.replica {
            replica.pool().close().await;
        }
    }
}
