//! Which files of a directory an import reads.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::error::ImportError;
use super::session::file_name;

/// Ends of the names of files that may be tables.
const ENDS: [&str; 5] = [".csv", ".tsv", ".gz", ".zip", ".xlsx"];

/// Most files that are named. A choice: enough to see what they are.
const OTHERS_MAX: usize = 10;

/// Checks that the path is a directory, and that it can be read.
pub(super) fn check_directory(dir: &Path) -> Result<(), ImportError> {
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Err(source) if source.kind() == ErrorKind::PermissionDenied => {
            Err(ImportError::Unreadable { file: file_name(dir), source })
        }
        _ => Err(ImportError::NotADirectory(dir.to_owned())),
    }
}

/// Whether the directory has a file of this name. One that cannot be reached is an error: it is not missing.
pub(super) fn has_file(dir: &Path, file: &'static str) -> Result<bool, ImportError> {
    let path = dir.join(file);
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        entry => {
            let found = entry.and_then(|_| path.metadata());
            found.map(|_| true).map_err(|source| ImportError::Unreadable { file, source })
        }
    }
}

/// Other files of the directory that may be tables, sorted by name.
pub(super) fn other_files(dir: &Path, read: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_other = |name: &String| {
        let lower = name.to_lowercase();
        !read.contains(&name.as_str()) && ENDS.iter().any(|end| lower.ends_with(end))
    };
    let mut others: Vec<String> = names.filter(is_other).collect();
    others.sort_unstable();
    let further = others.len().saturating_sub(OTHERS_MAX);
    others.truncate(OTHERS_MAX);
    if further > 0 {
        others.push(format!("and {further} further files"));
    }
    others
}

/// Opens a regular file. Opening or reading a pipe might wait for ever, and no signal would end it.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file: save it as one first"));
    }
    File::open(path)
}
