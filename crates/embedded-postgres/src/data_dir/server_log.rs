//! The log of the server, in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{DataDir, READ_MAX, open_private, open_regular};
use crate::EmbeddedPostgresError;

/// Lines of the server's log in an error message. The value is a choice: the server reports its error in the last few.
const LAST_LOG_LINES: usize = 20;

impl DataDir {
    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Renames the log of the previous run, which replaces the log of the run before it. So a crash can be analysed
    /// after the next start, and old logs do not fill the disk.
    pub(crate) fn rotate_log(&self) -> Result<(), EmbeddedPostgresError> {
        let log = self.log_path();
        self.account.run(|| match fs::rename(&log, self.path.join("server.log.1")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(EmbeddedPostgresError::io("rename", &log)(error))
            }
            _ => Ok(()),
        })
    }

    pub(crate) fn open_log(&self) -> Result<File, EmbeddedPostgresError> {
        self.account.run(|| open_private(&self.log_path(), OpenOptions::new().append(true)))
    }

    /// The last lines of the log, for an error message. Empty if the log cannot be read.
    pub(crate) fn last_log_lines(&self) -> String {
        let path = self.log_path();
        let read = self.account.run(|| read_end(&path).map_err(EmbeddedPostgresError::io("read", &path)));
        let log = read.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LOG_LINES)..].join("\n")
    }
}

/// The end of a text file: its last [`READ_MAX`] bytes.
fn read_end(path: &Path) -> io::Result<String> {
    let mut file = open_regular(path, OpenOptions::new().read(true))?;
    let start = file.metadata()?.len().saturating_sub(READ_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(READ_MAX).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}
