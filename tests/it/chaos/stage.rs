//! Everything that a run consists of, and how each fault is injected and ended.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::sync::RwLock;
use tokio::time::timeout;

use super::actors::{Shared, input};
use super::client::Client;
use super::faults::{Fault, Round};
use super::instance::{Instance, Vitals, program};
use super::journal::{Invariant, Journal};
use super::judge::Judge;
use super::network::Network;
use super::relay::Relay;
use crate::support::{PostgresServer, RedisServer, free_address, signal, until};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Number of movies: enough for pages of every decade.
const MOVIES: &str = "2000";

/// Time limit of an administrator's command: a lock that a silent instance holds is released within a minute.
const COMMAND: Duration = Duration::from_secs(90);

/// Short TTLs, so that entries expire within a run, and few connections, so that a leak of some is noticed.
const SETTINGS: [(&str, &str); 4] = [
    ("CINEGRAPH_CACHE_CURRENT_TTL_SECONDS", "15"),
    ("CINEGRAPH_CACHE_PROFILES_TTL_SECONDS", "30"),
    ("CINEGRAPH_CACHE_PAST_TTL_SECONDS", "60"),
    ("CINEGRAPH_DATABASE_MAX_CONNECTIONS", "4"),
];

/// The connections of an instance to its servers.
struct Relays {
    database: Relay,
    redis: Relay,
}

/// Two instances and their servers.
pub(super) struct Stage {
    pub(super) shared: Arc<Shared>,
    pub(super) instances: [Instance; 2],
    /// What the instances held before the first fault.
    pub(super) baseline: [Option<Vitals>; 2],
    relays: [Relays; 2],
    primary: PostgresServer,
    standby: PostgresServer,
    redis: RedisServer,
    network: Network,
    /// File from which the first instance's clock is set.
    clock: PathBuf,
    suspended_backend: Option<u32>,
    /// Whether the database has Cinegraph's schema.
    attached: bool,
}

impl Stage {
    /// Starts the servers and both instances on the database of a host application. The first instance has a clock that
    /// can be set, the second a network of its own.
    pub(super) async fn start() -> Self {
        let (journal, network) = (Journal::new(), Network::create());
        let (primary, redis) = (PostgresServer::start().await, RedisServer::start().await);
        // After the first detachment the movie tables count as a host application's.
        for arguments in [
            &["migrate"][..],
            &["generate", "--films", MOVIES],
            &["migrate", "--detach"],
            &["migrate"],
            &["refresh", "all"],
        ] {
            run(&primary, arguments).await.unwrap();
        }
        let standby = primary.replica().await;
        let relays = [relays(LOCALHOST, &primary, &redis).await, relays(network.outside, &primary, &redis).await];

        let (token, tokens) = ("chaos".repeat(10), journal.directory.join("tokens"));
        fs::write(&tokens, &token).unwrap();
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
        let clock = journal.directory.join("clock");
        fs::write(&clock, "+0").unwrap();
        let settings = relays.each_ref().map(|relays| settings(relays, &tokens));
        let [mut first, second] = settings;
        first.extend(faked_time(&clock));
        let inside = [8080, 9464].map(|port| SocketAddr::new(network.inside, port));
        let log = |name: &str| journal.directory.join(name);
        let instances = [
            Instance::new([free_address(), free_address()], None, &log("instance-0.log"), &first),
            Instance::new(inside, Some(&network.name), &log("instance-1.log"), &second),
        ];
        let shared = Arc::new(Shared {
            addresses: instances.each_ref().map(|instance| instance.address),
            starts: [const { AtomicU32::new(0) }; 2],
            judge: Judge::default(),
            database: Mutex::new(primary.url("postgres")),
            changes: RwLock::default(),
            followed: [const { Mutex::new(std::collections::BTreeMap::new()) }; 2],
            token,
            journal,
        });
        let (suspended_backend, baseline, attached) = (None, [None; 2], true);
        let mut stage = Self {
            shared,
            instances,
            baseline,
            relays,
            primary,
            standby,
            redis,
            network,
            clock,
            suspended_backend,
            attached,
        };
        stage.supervise();
        until("both instances are ready", async || stage.are_ready().await).await;
        stage.create_profiles().await;
        stage.shared.judge.history_began();
        stage
    }

    async fn create_profiles(&self) {
        const CREATE: &str = "mutation ($input: ProfileInput!) { createProfile(input: $input) { id } }";
        for number in [0, 1] {
            let variables = json!({ "input": input(number, 1) });
            Client::of(self.shared.addresses[0]).execute(CREATE, variables, &self.shared.token).await.unwrap();
        }
    }

    /// Starts each instance that is not running, as a supervisor does.
    pub(super) fn supervise(&mut self) {
        for (number, instance) in self.instances.iter_mut().enumerate() {
            let (started, exited) = instance.ensure_running();
            if started {
                self.shared.starts[number].fetch_add(1, Ordering::SeqCst);
                self.shared.journal.note(format_args!("instance {number} starts"));
            }
            // One that starts without the schema exits with a message.
            if let Some(status) = exited.filter(|_| self.attached) {
                let how = format_args!("instance {number} had ended by itself with {status}");
                self.shared.journal.broken(Invariant::Liveness, how);
            }
        }
    }

    pub(super) async fn are_ready(&self) -> bool {
        self.instances[0].is_ready().await && self.instances[1].is_ready().await
    }

    /// URL of the primary, without a relay.
    pub(super) fn database(&self) -> String {
        self.primary.url("postgres")
    }

    /// Injects two overlapping faults and ends them.
    pub(super) async fn run(&mut self, round: &Round) {
        let [first, second] = round.faults;
        let [before_second, both, last] = round.pauses;
        self.begin(first).await;
        tokio::time::sleep(before_second).await;
        self.begin(second).await;
        tokio::time::sleep(both).await;
        let ends = if round.in_order { [first, second] } else { [second, first] };
        self.end(ends[0]).await;
        tokio::time::sleep(last).await;
        self.end(ends[1]).await;
        self.supervise();
    }

    async fn begin(&mut self, fault: Fault) {
        self.shared.journal.note(format_args!("{fault:?} begins"));
        match fault {
            Fault::DatabasePaused => self.primary.freeze(),
            Fault::BackendPaused => {
                self.suspended_backend = self.backend().await;
                signal("STOP", self.suspended_backend.as_slice());
            }
            Fault::BackendKilled => signal("KILL", self.backend().await.as_slice()),
            Fault::DatabaseRestarted => self.primary.stop(),
            Fault::Failover { lossy: true } => {
                self.standby.run("ALTER SYSTEM SET primary_conninfo = ''").await;
                self.standby.run("SELECT pg_reload_conf()").await;
            }
            Fault::Failover { lossy: false } => {}
            Fault::Detached => {
                self.shared.judge.history_ends();
                self.attached = false;
                self.administer(&["migrate", "--detach"]).await;
            }
            Fault::RedisPaused => self.redis.freeze(),
            Fault::RedisKilled => self.redis.kill(),
            Fault::RedisSilent(number) => self.relays[number].redis.fall_silent(),
            Fault::DatabaseSilent(number) => self.relays[number].database.fall_silent(),
            Fault::ConnectionsCut(number) => {
                self.relays[number].database.cut();
                self.relays[number].redis.cut();
            }
            Fault::InstancePaused(number) => self.instances[number].signal("STOP"),
            Fault::InstanceKilled(number) => self.instances[number].kill(),
            Fault::InstanceStopped(number) => self.stop(number).await,
            Fault::LinkDown => self.network.down(),
            Fault::ClockStepped(hours) => fs::write(&self.clock, format!("{hours:+}h")).unwrap(),
        }
    }

    async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::DatabasePaused => self.primary.thaw(),
            Fault::BackendPaused => signal("CONT", self.suspended_backend.take().as_slice()),
            Fault::DatabaseRestarted | Fault::BackendKilled => self.primary.start_again().await,
            Fault::Failover { .. } => self.fail_over().await,
            Fault::Detached => {
                self.administer(&["migrate"]).await;
                self.administer(&["refresh", "all"]).await;
                self.supervise();
                self.attached = true;
                self.shared.judge.history_began();
            }
            Fault::RedisPaused => self.redis.thaw(),
            Fault::RedisKilled => self.redis.start_again().await,
            Fault::RedisSilent(number) => self.relays[number].redis.resume(),
            Fault::DatabaseSilent(number) => self.relays[number].database.resume(),
            Fault::ConnectionsCut(_) => {}
            Fault::InstancePaused(number) => self.instances[number].signal("CONT"),
            Fault::InstanceKilled(_) | Fault::InstanceStopped(_) => self.supervise(),
            Fault::LinkDown => self.network.up(),
            Fault::ClockStepped(_) => fs::write(&self.clock, "+0").unwrap(),
        }
        self.shared.journal.note(format_args!("{fault:?} has ended"));
    }

    /// Process id of one of the instances' connections.
    async fn backend(&self) -> Option<u32> {
        const ANY: &str =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'cinegraph' ORDER BY random() LIMIT 1";
        let mut connection = PgConnection::connect(&self.database()).await.unwrap();
        let pid: Option<i32> = sqlx::query_scalar(ANY).fetch_optional(&mut connection).await.unwrap();
        pid.and_then(|pid| pid.try_into().ok())
    }

    /// The standby takes over, with the relays, and gets a standby of its own.
    async fn fail_over(&mut self) {
        self.shared.judge.history_ends();
        self.primary.kill();
        self.standby.run("SELECT pg_promote()").await;
        let url = self.standby.url("postgres");
        for relays in &self.relays {
            relays.database.lead_to(self.standby.address());
        }
        *self.shared.database.lock().unwrap() = url;
        self.shared.judge.history_began();
        let standby = self.standby.replica().await;
        self.primary = std::mem::replace(&mut self.standby, standby);
    }

    /// Runs a command of the program on the primary, which must succeed whatever the instances do.
    async fn administer(&self, arguments: &[&str]) {
        if let Err(error) = run(&self.primary, arguments).await {
            self.shared.journal.broken(Invariant::Liveness, format_args!("{arguments:?}: {error}"));
        }
    }

    /// Stops an instance, which must exit by itself.
    pub(super) async fn stop(&mut self, number: usize) {
        if let Err(how) = self.instances[number].stop().await {
            self.shared.journal.broken(Invariant::Liveness, format_args!("instance {number} {how}"));
        }
    }
}

async fn relays(on: IpAddr, primary: &PostgresServer, redis: &RedisServer) -> Relays {
    let redis = Relay::start(on, SocketAddr::new(LOCALHOST, redis.port())).await;
    Relays { database: Relay::start(on, primary.address()).await, redis }
}

/// Runs a command of the program.
async fn run(primary: &PostgresServer, arguments: &[&str]) -> Result<(), String> {
    let mut command = tokio::process::Command::from(program(None, arguments));
    command.env("CINEGRAPH_DATABASE_URL", primary.url("postgres")).kill_on_drop(true);
    let output = timeout(COMMAND, command.output()).await.map_err(|_| format!("not done within {COMMAND:?}"))?.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The settings of an instance behind its relays.
fn settings(relays: &Relays, tokens: &Path) -> Vec<(&'static str, String)> {
    let Relays { database, redis } = relays;
    let own = [
        ("CINEGRAPH_DATABASE_URL", format!("postgres://postgres@{}/postgres", database.address)),
        ("CINEGRAPH_REDIS_URL", format!("redis://{}/", redis.address)),
        ("CINEGRAPH_ADMIN_TOKENS_FILE", tokens.display().to_string()),
    ];
    SETTINGS.map(|(name, value)| (name, value.to_owned())).into_iter().chain(own).collect()
}

/// Environment of a process whose wall clock is set by this file. Its monotonic clock is the real one.
fn faked_time(clock: &Path) -> [(&'static str, String); 4] {
    let of_architecture = |directory: fs::DirEntry| directory.path().join("faketime/libfaketimeMT.so.1");
    let library = fs::read_dir("/usr/lib").unwrap().flatten().map(of_architecture).find(|path| path.exists());
    let library = library.expect("libfaketime is installed: scripts/install.sh test");
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
