//! The operating-system user that runs the server: PostgreSQL refuses to run as root, so root switches to another user.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

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

    /// Transfers ownership of `path` to this user.
    pub(super) fn chown(&self, path: &Path) -> Result<(), EmbeddedPostgresError> {
        let Some(user) = &self.0 else { return Ok(()) };
        chown(path, Some(user.uid), Some(user.gid)).map_err(EmbeddedPostgresError::io("hand over", path))
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
