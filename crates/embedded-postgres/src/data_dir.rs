//! Files of the cluster: their location, creation, and the locks that processes take on them.

mod server_log;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::fs::OFlags;

use super::account::{Account, output_of};
use super::binaries::Binaries;
use super::{EmbeddedPostgresError, ROLE};

/// Random bytes of the password, which has two hexadecimal digits for each: 256 bits cannot be guessed.
const PASSWORD_BYTES: usize = 32;

/// Maximum number of bytes that are read of a file, whatever the owner has put in its place. Far more than PG_VERSION,
/// postmaster.pid, the password or the last lines of the log have.
const READ_MAX: u64 = 64 * 1024;

/// How long to wait for the startup lock. Longer than [`START_TIMEOUT`](super::START_TIMEOUT), for which another
/// process may hold the lock while its server recovers from a crash.
const STARTUP_LOCK_TIMEOUT: Duration = Duration::from_mins(3);
const STARTUP_LOCK_POLL: Duration = Duration::from_millis(20);

/// The directory `postgres` inside the data directory. All its files are used with the credentials of their owner.
#[derive(Debug, Clone)]
pub(super) struct DataDir {
    /// The directory `postgres`.
    path: PathBuf,
    /// The cluster: the directory `data` in `path`.
    data: PathBuf,
    account: Account,
}

/// The server named in `postmaster.pid`, which may no longer run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
}

impl DataDir {
    /// Creates missing directories and determines the account that owns them.
    pub(super) fn open(data_dir: &Path) -> Result<(Self, Account), EmbeddedPostgresError> {
        let io = EmbeddedPostgresError::io;
        let data_dir = std::path::absolute(data_dir).map_err(io("find", data_dir))?;
        let account = Account::for_directory(&data_dir.join("postgres"))?;
        if let Some(parent) = data_dir.parent() {
            fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        account.create_private(&data_dir)?;
        // PostgreSQL reports its data directory without symbolic links, and `EmbeddedPostgres::check` compares it with
        // this path.
        let data_dir = data_dir.canonicalize().map_err(io("find", &data_dir))?;
        account.check_access(&data_dir)?;
        let path = data_dir.join("postgres");
        account.create_private(&path)?;
        Ok((Self { data: path.join("data"), path, account: account.clone() }, account))
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Major version of the initialised cluster; `None` if there is no cluster.
    pub(super) fn major_version(&self) -> Result<Option<u32>, EmbeddedPostgresError> {
        let path = self.data.join("PG_VERSION");
        let read = self.account.run(|| match read_small(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(EmbeddedPostgresError::io("read", &path)),
        })?;
        match read {
            Some(major) => {
                let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                major.trim().parse().map(Some).map_err(invalid).map_err(EmbeddedPostgresError::io("read", &path))
            }
            None => Ok(None),
        }
    }

    /// Initialises the cluster with a new password. Removes what an interrupted attempt has left. A `temporary` cluster
    /// is not synced to disk.
    pub(super) fn initialise(&self, binaries: &Binaries, temporary: bool) -> Result<(), EmbeddedPostgresError> {
        let incomplete = self.path.join("data.new");
        let io = EmbeddedPostgresError::io;
        self.account.run(|| match fs::remove_dir_all(&incomplete) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", &incomplete)(error)),
            _ => Ok(()),
        })?;
        self.write_password()?;
        let mut initdb = self.account.command(&binaries.program("initdb"));
        initdb.args(["--username", ROLE, "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]);
        // Byte-wise collation is the same on every machine; the ctype still maps the case of non-ASCII letters.
        initdb.args(["--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"]);
        initdb.args(temporary.then_some("--no-sync"));
        initdb.arg("--pwfile").arg(self.password_path()).arg("-D").arg(&incomplete);
        output_of(initdb)?;
        self.account.run(|| fs::rename(&incomplete, &self.data).map_err(io("rename", &incomplete)))?;
        tracing::info!(data = %self.data.display(), version = binaries.major(), "embedded PostgreSQL initialised");
        Ok(())
    }

    pub(super) fn password(&self) -> Result<String, EmbeddedPostgresError> {
        let path = self.password_path();
        let password = self.account.run(|| read_small(&path).map_err(EmbeddedPostgresError::io("read", &path)))?;
        Ok(password.trim().to_owned())
    }

    fn write_password(&self) -> Result<(), EmbeddedPostgresError> {
        let mut bytes = [0; PASSWORD_BYTES];
        SysRng.try_fill_bytes(&mut bytes).map_err(EmbeddedPostgresError::NoRandomness)?;
        let password = bytes.iter().fold(String::new(), |mut password, byte| {
            // Writing to a String cannot fail.
            let _ = write!(password, "{byte:02x}");
            password
        });
        let path = self.password_path();
        self.account.run(|| {
            // A file from an interrupted attempt would keep its mode, which may let others read it.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(EmbeddedPostgresError::io("replace", &path)(error));
                }
                _ => {}
            }
            let mut file = open_private(&path, OpenOptions::new().write(true))?;
            writeln!(file, "{password}").map_err(EmbeddedPostgresError::io("write", &path))
        })
    }

    fn password_path(&self) -> PathBuf {
        self.path.join("password")
    }

    /// Takes the startup lock, which processes hold while they start, join or leave the server. Dropping the file
    /// releases it. Polls, because a blocking lock has no timeout.
    ///
    /// # Errors
    /// [`EmbeddedPostgresError::Busy`] after [`STARTUP_LOCK_TIMEOUT`].
    pub(super) fn lock_startup(&self) -> Result<File, EmbeddedPostgresError> {
        // The name must not change: processes of versions that lock different files would not exclude each other.
        let path = self.path.join("turn.lock");
        let file = self.account.run(|| open_private(&path, OpenOptions::new().write(true)))?;
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

    /// Takes the shared lock that marks this process as a user of the server. The caller holds the startup lock, so
    /// this never waits: only [`leave_users`](Self::leave_users) takes the lock exclusively, and its caller holds the
    /// startup lock, too.
    pub(super) fn join_users(&self) -> Result<File, EmbeddedPostgresError> {
        let path = self.users_path();
        let file = self.account.run(|| open_private(&path, OpenOptions::new().write(true)))?;
        file.lock_shared().map_err(EmbeddedPostgresError::io("lock", &path))?;
        Ok(file)
    }

    /// Releases this process's shared lock. Returns whether this was the last user of the server. The caller holds the
    /// startup lock, so that no other process joins before it has stopped the server.
    pub(super) fn leave_users(&self, ours: File) -> Result<bool, EmbeddedPostgresError> {
        let path = self.users_path();
        let io = EmbeddedPostgresError::io;
        // Closing the file is not enough: a child that another thread is just starting may hold a copy of the
        // descriptor, and with it the lock, for a moment.
        ours.unlock().map_err(io("unlock", &path))?;
        drop(ours);
        let file = self.account.run(|| open_private(&path, OpenOptions::new().write(true)))?;
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
        }
    }

    fn users_path(&self) -> PathBuf {
        self.path.join("users.lock")
    }

    /// The server named in `postmaster.pid`. `None` if the file is missing, unreadable or incomplete.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        let path = self.pid_path();
        let read = self.account.run(|| read_small(&path).map_err(EmbeddedPostgresError::io("read", &path)));
        parse_pid_file(&read.ok()?)
    }

    fn pid_path(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    /// Whether the process is alive and serves this cluster. Another program may have got the PID of a dead server, so
    /// this checks the working directory of the process: a server runs in the directory of its cluster.
    #[cfg(target_os = "linux")]
    pub(super) fn is_served_by(&self, server: Postmaster) -> bool {
        let process = Path::new("/proc").join(server.pid.to_string());
        // The link of a zombie process cannot be read, so a server that has ended counts as dead before it is reaped.
        fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == self.data)
    }

    /// Whether the process is alive. Without `/proc`, this cannot tell a server from a program that has got its PID.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_served_by(&self, server: Postmaster) -> bool {
        let mut ps = std::process::Command::new("ps");
        ps.args(["-o", "stat=", "-p", &server.pid.to_string()]);
        output_of(ps).is_ok_and(|state| !state.starts_with('Z'))
    }

    /// Removes the PID file of a dead server, unless the file names another server by now. PostgreSQL removes the file
    /// itself, except if another process has the same PID, as is usual after a container restart. Removing it is safe
    /// even if a server still runs: PostgreSQL then starts no second one, since the cluster's shared memory is in use.
    pub(super) fn remove_stale_pid_file(&self, stale: Postmaster) -> Result<(), EmbeddedPostgresError> {
        let path = self.pid_path();
        match self.postmaster() {
            Some(found) if found == stale => {
                self.account.run(|| fs::remove_file(&path).map_err(EmbeddedPostgresError::io("remove", &path)))
            }
            _ => Ok(()),
        }
    }

    /// Removes the cluster, and the data directory if it is then empty.
    pub(super) fn remove(&self) -> Result<(), EmbeddedPostgresError> {
        let io = EmbeddedPostgresError::io;
        self.account.run(|| remove_entries(&self.path).map_err(io("remove", &self.path)))?;
        // Without `run`, because the parent directory may belong to root. This is safe as root: `remove_dir` removes
        // only an empty directory, and follows no link.
        fs::remove_dir(&self.path).map_err(io("remove", &self.path))?;
        if let Some(data_dir) = self.path.parent() {
            // Fails if the directory holds other files, as intended.
            let _ = fs::remove_dir(data_dir);
        }
        Ok(())
    }
}

/// Opens a regular file that only its owner may read, and creates it if it is missing.
fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File, EmbeddedPostgresError> {
    match without_waiting(options).clone().create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open_regular(path, options).map_err(EmbeddedPostgresError::io("open", path))
        }
        created => created.map_err(EmbeddedPostgresError::io("create", path)),
    }
}

/// Opens a file that exists, unless it is a link, or another kind of file that may block or never end.
fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = without_waiting(options).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Adds flags so that opening fails for a link, and does not wait for the other end of a FIFO.
fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
}

/// The text of a small file: at most [`READ_MAX`] bytes.
fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(path, OpenOptions::new().read(true))?.take(READ_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Removes everything in a directory, but not the directory.
fn remove_entries(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

/// Parses `postmaster.pid`. Its lines are PID, data directory, start time, port, and others; `None` if the PID or the
/// port is missing, as while the server is writing the file.
fn parse_pid_file(text: &str) -> Option<Postmaster> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let port = lines.nth(2)?.trim().parse().ok()?;
    Some(Postmaster { pid, port })
}
