//! The operating-system user that runs the server and owns its files: PostgreSQL refuses to run as root, so root
//! switches to another user.
//!
//! That user may be compromised, and can replace every file and directory of the cluster by links, FIFOs and others. So
//! root never touches them itself: [`Account::run`] does it with the credentials of their owner, and the kernel denies
//! what the owner may not do. Root only creates the two directories above the cluster, and removes them once empty.

use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::OFlags;

use super::EmbeddedPostgresError;

/// Tried in this order if the data directory has no owner yet.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];

/// Owner of the server's processes and files. `None` is the current user, if that is not root.
#[derive(Debug, Clone)]
pub(super) struct Account(Option<Unprivileged>);

#[derive(Debug, Clone)]
struct Unprivileged {
    name: String,
    uid: u32,
    gid: u32,
}

pub(super) fn is_root() -> bool {
    id(["-u"]) == Some(0)
}

impl Account {
    /// For root: the owner of the directory where it exists, so that a user's own cluster works under `sudo` too.
    pub(super) fn for_data_dir(data_dir: &Path) -> Result<Self, EmbeddedPostgresError> {
        if !is_root() {
            return Ok(Self(None));
        }
        if let Ok(metadata) = data_dir.metadata()
            && metadata.uid() != 0
        {
            check_link(data_dir, metadata.uid()).map_err(EmbeddedPostgresError::io("use", data_dir))?;
            let (uid, gid) = (metadata.uid(), metadata.gid());
            return Ok(Self(Some(Unprivileged { name: format!("user {uid}"), uid, gid })));
        }
        let known = UNPRIVILEGED_USERS.into_iter().find_map(|name| {
            Some(Unprivileged { name: name.to_owned(), uid: id(["-u", name])?, gid: id(["-g", name])? })
        });
        known.map(|user| Self(Some(user))).ok_or(EmbeddedPostgresError::NoUnprivilegedUser)
    }

    /// Command that runs as this user, without the caller's environment, working directory, terminal and signals.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("LC_ALL", "C");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some(user) = &self.0 {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Runs `work` with the credentials of this user: root's access to files does not apply.
    ///
    /// # Errors
    /// Those of `work`, and [`EmbeddedPostgresError::NoCredentials`] if root cannot take the user's credentials.
    pub(super) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, EmbeddedPostgresError> + Send,
    ) -> Result<T, EmbeddedPostgresError> {
        let Some(user) = &self.0 else { return work() };
        // Credentials belong to a thread on Linux. This one ends afterwards, so that none goes on with them.
        let as_user = || {
            take_credentials(user.uid, user.gid).map_err(EmbeddedPostgresError::NoCredentials)?;
            work()
        };
        thread::scope(|scope| scope.spawn(as_user).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Creates a directory that only this user can enter, unless it exists. Runs as root, whose parent directory it is.
    pub(super) fn create_private(&self, directory: &Path) -> Result<(), EmbeddedPostgresError> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => self.hand_over(directory).map_err(EmbeddedPostgresError::io("hand over", directory)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(EmbeddedPostgresError::io("create", directory)(error)),
        }
    }

    /// Transfers the ownership of a directory that root has just created. The owner of its parent may have replaced it
    /// since, so the owner is changed by descriptor, and only of a private directory of root.
    fn hand_over(&self, directory: &Path) -> io::Result<()> {
        let Some(user) = &self.0 else { return Ok(()) };
        let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(directory)?;
        let metadata = opened.metadata()?;
        if metadata.uid() != 0 || metadata.mode() & 0o077 != 0 {
            return Err(io::Error::other("it was replaced while it was created"));
        }
        fchown(&opened, Some(user.uid), Some(user.gid))
    }

    /// Checks that the server can enter `directory`, which must be absolute.
    ///
    /// # Errors
    /// [`EmbeddedPostgresError::NoAccess`] with the topmost directory that the user cannot enter.
    pub(super) fn check_access(&self, directory: &Path) -> Result<(), EmbeddedPostgresError> {
        let Some(user) = &self.0 else { return Ok(()) };
        let mut from_root: Vec<&Path> = directory.ancestors().collect();
        from_root.reverse();
        for parent in from_root {
            // Tested as that user, so that groups and access control lists are respected.
            let mut enter = self.command(Path::new("/bin/sh"));
            enter.args(["-c", r#"cd -- "$0""#]).arg(parent);
            if output_of(enter).is_err() {
                return Err(EmbeddedPostgresError::NoAccess { parent: parent.to_owned(), user: user.name.clone() });
            }
        }
        Ok(())
    }
}

/// Rejects a link to a directory of another user by anyone but root: following it would make root act as that user.
fn check_link(path: &Path, owner: u32) -> io::Result<()> {
    let linked_by = path.symlink_metadata()?.uid();
    if linked_by == 0 || linked_by == owner {
        return Ok(());
    }
    Err(io::Error::other(format!("user {linked_by} has made it a link to a directory of user {owner}")))
}

/// Takes the user's groups and its effective user and group id, which decide on access to files. The real and the saved
/// id stay root's, so the user cannot send signals to this process.
#[cfg(target_os = "linux")]
fn take_credentials(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(None, gid, None)?;
    Ok(set_thread_res_uid(None, uid, None)?)
}

/// Credentials belong to the whole process on other systems.
#[cfg(not(target_os = "linux"))]
fn take_credentials(_: u32, _: u32) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Standard output of a program, trimmed.
///
/// # Errors
/// If the program cannot be run or exits with a code other than 0.
pub(super) fn output_of(mut command: Command) -> Result<String, EmbeddedPostgresError> {
    let program = Path::new(command.get_program()).to_owned();
    let output = command.output().map_err(EmbeddedPostgresError::io("run", &program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let printed = [output.stdout, output.stderr].concat();
    let message = format!("{} ({})", String::from_utf8_lossy(&printed).trim(), output.status);
    Err(EmbeddedPostgresError::Program { program, message })
}

fn id<const N: usize>(arguments: [&str; N]) -> Option<u32> {
    let mut command = Command::new("id");
    command.args(arguments.map(OsStr::new)).stdin(Stdio::null());
    output_of(command).ok()?.parse().ok()
}
