//! Files of the cluster: their location, creation, and the locks that processes take on them.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;

use super::account::{Account, output_of};
use super::binaries::Binaries;
use super::{EmbeddedPostgresError, ROLE};

const PASSWORD_BYTES: usize = 32;
const LAST_LOG_LINES: usize = 20;

/// Longer than the slowest start of another process.
const STARTUP_LOCK_TIMEOUT: Duration = Duration::from_mins(3);
const STARTUP_LOCK_POLL: Duration = Duration::from_millis(20);

/// The directory `postgres` inside the data directory.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    data: PathBuf,
}

/// The server named in `postmaster.pid`, which may no longer run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
}

impl DataDir {
    /// Creates missing directories and determines the user that owns them.
    pub(super) fn open(data_dir: &Path) -> Result<(Self, Account), EmbeddedPostgresError> {
        let io = EmbeddedPostgresError::io;
        let data_dir = std::path::absolute(data_dir).map_err(io("find", data_dir))?;
        let account = Account::for_data_dir(&data_dir.join("postgres"))?;
        if let Some(parent) = data_dir.parent() {
            fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        create_private(&data_dir, &account)?;
        // PostgreSQL reports its data directory without symbolic links.
        let data_dir = data_dir.canonicalize().map_err(io("find", &data_dir))?;
        account.check_access(&data_dir)?;
        let path = data_dir.join("postgres");
        create_private(&path, &account)?;
        Ok((Self { data: path.join("data"), path }, account))
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Major version of the initialised cluster; `None` if there is no cluster.
    pub(super) fn major_version(&self) -> Result<Option<u32>, EmbeddedPostgresError> {
        let path = self.data.join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(major) => {
                let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                major.trim().parse().map(Some).map_err(invalid).map_err(EmbeddedPostgresError::io("read", &path))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedPostgresError::io("read", &path)(error)),
        }
    }

    /// Initialises the cluster with a new password, and discards what an interrupted attempt left behind.
    pub(super) fn initialise(
        &self,
        account: &Account,
        binaries: &Binaries,
        temporary: bool,
    ) -> Result<(), EmbeddedPostgresError> {
        let incomplete = self.path.join("data.new");
        if incomplete.exists() {
            fs::remove_dir_all(&incomplete).map_err(EmbeddedPostgresError::io("remove", &incomplete))?;
        }
        self.write_password(account)?;
        let mut initdb = account.command(&binaries.program("initdb"));
        initdb.args(["--username", ROLE, "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]);
        // Byte-wise collation is the same on every machine; the ctype still maps the case of non-ASCII letters.
        initdb.args(["--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"]);
        initdb.args(temporary.then_some("--no-sync"));
        initdb.arg("--pwfile").arg(self.password_path()).arg("-D").arg(&incomplete);
        output_of(initdb)?;
        fs::rename(&incomplete, &self.data).map_err(EmbeddedPostgresError::io("rename", &incomplete))?;
        tracing::info!(data = %self.data.display(), version = binaries.major(), "embedded PostgreSQL initialised");
        Ok(())
    }

    pub(super) fn password(&self) -> Result<String, EmbeddedPostgresError> {
        let path = self.password_path();
        let password = fs::read_to_string(&path).map_err(EmbeddedPostgresError::io("read", &path))?;
        Ok(password.trim().to_owned())
    }

    fn write_password(&self, account: &Account) -> Result<(), EmbeddedPostgresError> {
        let mut bytes = [0; PASSWORD_BYTES];
        SysRng.try_fill_bytes(&mut bytes).map_err(EmbeddedPostgresError::NoRandomness)?;
        let password = bytes.iter().fold(String::new(), |mut password, byte| {
            // Writing to a String cannot fail.
            let _ = write!(password, "{byte:02x}");
            password
        });
        let path = self.password_path();
        // A file that exists would keep its owner and mode, which the directory's owner may have chosen.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(EmbeddedPostgresError::io("replace", &path)(error));
            }
            _ => {}
        }
        let mut file = open_private(&path, account, OpenOptions::new().write(true))?;
        writeln!(file, "{password}").map_err(EmbeddedPostgresError::io("write", &path))
    }

    fn password_path(&self) -> PathBuf {
        self.path.join("password")
    }

    /// Takes the lock that serialises starting, joining and leaving. Dropping the file releases it.
    pub(super) fn lock_startup(&self, account: &Account) -> Result<File, EmbeddedPostgresError> {
        let path = self.path.join("turn.lock");
        let file = open_private(&path, account, OpenOptions::new().write(true))?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(EmbeddedPostgresError::io("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if since.elapsed() > STARTUP_LOCK_TIMEOUT => {
                    return Err(EmbeddedPostgresError::Busy { lock: path, seconds: STARTUP_LOCK_TIMEOUT.as_secs() });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(STARTUP_LOCK_POLL),
            }
        }
    }

    /// Takes the shared lock that marks this process as a user. The caller holds the startup lock, so this never waits.
    pub(super) fn join_users(&self, account: &Account) -> Result<File, EmbeddedPostgresError> {
        let path = self.users_path();
        let file = open_private(&path, account, OpenOptions::new().write(true))?;
        file.lock_shared().map_err(EmbeddedPostgresError::io("lock", &path))?;
        Ok(file)
    }

    /// Releases this process's shared lock; `true` if no other process uses the server. The caller holds the startup lock.
    pub(super) fn is_last(&self, ours: File, account: &Account) -> Result<bool, EmbeddedPostgresError> {
        let path = self.users_path();
        let io = EmbeddedPostgresError::io;
        // Unlocked before it is closed: a child that another thread is forking may briefly hold a copy of the
        // descriptor.
        ours.unlock().map_err(io("unlock", &path))?;
        drop(ours);
        match open_private(&path, account, OpenOptions::new().write(true))?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
        }
    }

    fn users_path(&self) -> PathBuf {
        self.path.join("users.lock")
    }

    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        parse_pid_file(&fs::read_to_string(self.pid_path()).ok()?)
    }

    fn pid_path(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    /// Whether the process is alive and serves this cluster: its PID may have been reused.
    #[cfg(target_os = "linux")]
    pub(super) fn is_served_by(&self, server: Postmaster) -> bool {
        let process = Path::new("/proc").join(server.pid.to_string());
        // A zombie process has no working directory.
        fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == self.data)
    }

    /// Whether that process is alive.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_served_by(&self, server: Postmaster) -> bool {
        let mut ps = std::process::Command::new("ps");
        ps.args(["-o", "stat=", "-p", &server.pid.to_string()]);
        output_of(ps).is_ok_and(|state| !state.starts_with('Z'))
    }

    /// Removes the PID file of a dead server. PostgreSQL does so itself, unless another process has the same PID, as is
    /// usual after a container restart. Shared memory that is still in use prevents a second server anyway.
    pub(super) fn remove_stale_pid_file(&self, stale: Postmaster) -> Result<(), EmbeddedPostgresError> {
        let path = self.pid_path();
        match self.postmaster() {
            Some(found) if found == stale => fs::remove_file(&path).map_err(EmbeddedPostgresError::io("remove", &path)),
            _ => Ok(()),
        }
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Keeps only the previous run's log: disk use stays bounded, and a crash can still be analysed.
    pub(super) fn rotate_log(&self) -> Result<(), EmbeddedPostgresError> {
        let log = self.log_path();
        match fs::rename(&log, self.path.join("server.log.1")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(EmbeddedPostgresError::io("rename", &log)(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn open_log(&self, account: &Account) -> Result<File, EmbeddedPostgresError> {
        open_private(&self.log_path(), account, OpenOptions::new().append(true))
    }

    pub(super) fn last_log_lines(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LOG_LINES)..].join("\n")
    }

    /// Removes the cluster, and the data directory if it is then empty.
    pub(super) fn remove(&self) -> Result<(), EmbeddedPostgresError> {
        fs::remove_dir_all(&self.path).map_err(EmbeddedPostgresError::io("remove", &self.path))?;
        if let Some(data_dir) = self.path.parent() {
            // Fails if the directory holds other files, as intended.
            let _ = fs::remove_dir(data_dir);
        }
        Ok(())
    }
}

fn create_private(directory: &Path, account: &Account) -> Result<(), EmbeddedPostgresError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => account.chown(directory),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(EmbeddedPostgresError::io("create", directory)(error)),
    }
}

/// Changes the owner only of a file that it creates: otherwise the directory's owner could place a link there and make
/// root give away the link's target.
fn open_private(path: &Path, account: &Account, options: &mut OpenOptions) -> Result<File, EmbeddedPostgresError> {
    match options.clone().create_new(true).mode(0o600).open(path) {
        Ok(file) => account.chown(path).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.open(path).map_err(EmbeddedPostgresError::io("open", path))
        }
        Err(error) => Err(EmbeddedPostgresError::io("create", path)(error)),
    }
}

/// Lines of the file: PID, data directory, start time, port, and others.
fn parse_pid_file(text: &str) -> Option<Postmaster> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let port = lines.nth(2)?.trim().parse().ok()?;
    Some(Postmaster { pid, port })
}
