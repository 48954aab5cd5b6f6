//! The operating-system user that runs the server and owns its files. PostgreSQL refuses to run as root, so a program
//! that runs as root switches to another user.
//!
//! An attacker who controls that user can replace every file and directory of the cluster, for example by a link to a
//! file of root. This program therefore never uses the files of the cluster as root: [`Account::run`] uses them with
//! the credentials of their owner, so that the kernel denies what the owner may not do. As root it only creates the two
//! directories above the cluster, and removes them once they are empty.

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

/// Users to choose from, in this order, if the program runs as root and the cluster has no other owner yet. Packages of
/// PostgreSQL create the first, and nearly every system has the second.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];

/// Owner of the server's processes and files. `None` if this program does not run as root: the current user owns them.
#[derive(Debug, Clone)]
pub(super) struct Account(Option<Unprivileged>);

#[derive(Debug, Clone)]
struct Unprivileged {
    name: String,
    uid: u32,
    gid: u32,
}

/// Whether this program runs as root. Also false if the program `id` cannot be run.
pub(super) fn is_root() -> bool {
    id(["-u"]) == Some(0)
}

impl Account {
    /// The account for the cluster in `directory`. If the program runs as root and another user owns the directory, it
    /// is this user, so that `sudo` works with a user's own cluster. If the directory is missing, or belongs to root,
    /// it is one of [`UNPRIVILEGED_USERS`].
    ///
    /// # Errors
    /// [`EmbeddedPostgresError::NoUnprivilegedUser`] if none of these users exists, and
    /// [`EmbeddedPostgresError::Io`] if the directory is a link that is not trusted.
    pub(super) fn for_directory(directory: &Path) -> Result<Self, EmbeddedPostgresError> {
        if !is_root() {
            return Ok(Self(None));
        }
        if let Ok(metadata) = directory.metadata()
            && metadata.uid() != 0
        {
            check_link(directory, metadata.uid()).map_err(EmbeddedPostgresError::io("use", directory))?;
            let (uid, gid) = (metadata.uid(), metadata.gid());
            return Ok(Self(Some(Unprivileged { name: format!("user {uid}"), uid, gid })));
        }
        let user = UNPRIVILEGED_USERS.into_iter().find_map(|name| {
            Some(Unprivileged { name: name.to_owned(), uid: id(["-u", name])?, gid: id(["-g", name])? })
        });
        user.map(|user| Self(Some(user))).ok_or(EmbeddedPostgresError::NoUnprivilegedUser)
    }

    /// A command that runs as this user. It does not get this program's environment or working directory, which the
    /// user may be unable to read, and no signals of the terminal: Ctrl-C ends only this program, which then stops the
    /// server.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("LC_ALL", "C");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some(user) = &self.0 {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Runs `work` with the credentials of this user, so that it can use only files that this user can.
    ///
    /// # Errors
    /// Those of `work`, and [`EmbeddedPostgresError::NoCredentials`] if root cannot take the user's credentials.
    pub(super) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, EmbeddedPostgresError> + Send,
    ) -> Result<T, EmbeddedPostgresError> {
        let Some(user) = &self.0 else { return work() };
        // On Linux, credentials belong to a thread. `work` gets a thread of its own, which ends with it, so that no
        // other code runs with these credentials.
        let as_user = || {
            take_credentials(user.uid, user.gid).map_err(EmbeddedPostgresError::NoCredentials)?;
            work()
        };
        thread::scope(|scope| scope.spawn(as_user).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Creates a directory that only this user can enter, unless it exists. Does not use [`run`](Self::run), because
    /// the parent directory may belong to root, and then the user cannot create a directory in it.
    pub(super) fn create_private(&self, directory: &Path) -> Result<(), EmbeddedPostgresError> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => self.hand_over(directory).map_err(EmbeddedPostgresError::io("hand over", directory)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(EmbeddedPostgresError::io("create", directory)(error)),
        }
    }

    /// Makes this user the owner of a directory that root has just created. The owner of the parent directory may have
    /// replaced it in the meantime. So it is opened first, then checked to be a private directory of root, and its
    /// owner is changed by the descriptor, which still refers to the checked directory.
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

    /// Checks that the server's user can enter `directory`, which must be absolute.
    ///
    /// # Errors
    /// [`EmbeddedPostgresError::NoAccess`] with the topmost directory that the user cannot enter.
    pub(super) fn check_access(&self, directory: &Path) -> Result<(), EmbeddedPostgresError> {
        let Some(user) = &self.0 else { return Ok(()) };
        let mut from_root: Vec<&Path> = directory.ancestors().collect();
        from_root.reverse();
        for parent in from_root {
            // A shell of that user tries it, so that groups and access control lists are respected. `$0` is the
            // argument after the script, so the path needs no quoting.
            let mut enter = self.command(Path::new("/bin/sh"));
            enter.args(["-c", r#"cd -- "$0""#]).arg(parent);
            if output_of(enter).is_err() {
                return Err(EmbeddedPostgresError::NoAccess { parent: parent.to_owned(), user: user.name.clone() });
            }
        }
        Ok(())
    }
}

/// Checks that a path to a directory of `owner` is no link, or a link that root or `owner` created. Any other user
/// could make root act as `owner` by a link.
fn check_link(path: &Path, owner: u32) -> io::Result<()> {
    let linked_by = path.symlink_metadata()?.uid();
    if linked_by == 0 || linked_by == owner {
        return Ok(());
    }
    Err(io::Error::other(format!("user {linked_by} has made it a link to a directory of user {owner}")))
}

/// Gives the current thread the user's group, and its effective user and group id, which decide on access to files. The
/// real and the saved ids stay those of root, so the user cannot send signals to this process.
#[cfg(target_os = "linux")]
fn take_credentials(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(None, gid, None)?;
    Ok(set_thread_res_uid(None, uid, None)?)
}

/// Always fails: on other systems, credentials belong to the whole process, so a thread cannot have its own.
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

/// The number that the program `id` prints. `None` if it fails, as it does for a user that does not exist.
fn id<const N: usize>(arguments: [&str; N]) -> Option<u32> {
    let mut command = Command::new("id");
    command.args(arguments.map(OsStr::new)).stdin(Stdio::null());
    output_of(command).ok()?.parse().ok()
}
