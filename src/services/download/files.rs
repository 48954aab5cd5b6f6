//! A file on the disk: the complete one, a partial one, and what the server said of each.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::DownloadError;

/// Paths of a file.
#[derive(Debug)]
pub(super) struct Files {
    /// The complete file.
    pub(super) complete: PathBuf,
    /// The partial file.
    pub(super) partial: PathBuf,
}

/// What the server said of a version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// Size of the whole file.
    pub(super) bytes: Option<u64>,
}

impl Version {
    /// What `If-Range` may contain: no weak `ETag`, because files with the same one may have other bytes.
    pub(super) fn if_range(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

impl Files {
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self { complete: dir.join(name), partial: dir.join(format!("{name}.part")) }
    }

    /// The version of the complete file; `None` if there is none, or if another program has changed its size.
    pub(super) fn complete_version(&self, url: &str) -> Option<Version> {
        let bytes = self.complete.metadata().ok()?.len();
        read_version(&self.complete, url).filter(|version| version.bytes == Some(bytes))
    }

    /// Size and version of the partial file, if it can be continued.
    pub(super) fn partial_version(&self, url: &str) -> Option<(u64, Version)> {
        let bytes = self.partial_bytes();
        let version = read_version(&self.partial, url)?;
        let fits = version.bytes.is_none_or(|total| bytes <= total);
        (bytes > 0 && fits && version.if_range().is_some()).then_some((bytes, version))
    }

    pub(super) fn partial_bytes(&self) -> u64 {
        self.partial.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Begins a partial file of this version.
    pub(super) fn begin(&self, version: &Version) -> Result<File, DownloadError> {
        // If the program ended in between, the description would be that of other bytes.
        remove(&described(&self.partial))?;
        let file = File::create(&self.partial).map_err(DownloadError::writing(&self.partial))?;
        describe(&self.partial, version)?;
        Ok(file)
    }

    /// Opens the partial file to append to it.
    pub(super) fn append(&self) -> Result<File, DownloadError> {
        OpenOptions::new().append(true).open(&self.partial).map_err(DownloadError::writing(&self.partial))
    }

    /// Removes the partial file, so that the next attempt starts from the beginning.
    pub(super) fn discard(&self) -> Result<(), DownloadError> {
        remove(&described(&self.partial))?;
        remove(&self.partial)
    }

    /// Gives the partial file, which is complete and verified, its name. Returns its size.
    pub(super) fn finish(&self, version: Version) -> Result<u64, DownloadError> {
        let failed = DownloadError::writing(&self.partial);
        let file = File::open(&self.partial).map_err(&failed)?;
        // After a crash of the system, the name must not belong to a file whose bytes were never written.
        file.sync_all().map_err(&failed)?;
        let bytes = file.metadata().map_err(&failed)?.len();
        // The description of the old version first: with it, the new file would count as unchanged.
        remove(&described(&self.complete))?;
        fs::rename(&self.partial, &self.complete).map_err(&failed)?;
        describe(&self.complete, &Version { bytes: Some(bytes), ..version })?;
        remove(&described(&self.partial))?;
        Ok(bytes)
    }
}

/// The file that has the [`Version`] of a file.
fn described(path: &Path) -> PathBuf {
    path.with_added_extension("json")
}

fn describe(path: &Path, version: &Version) -> Result<(), DownloadError> {
    let path = described(path);
    let text = serde_json::to_vec(version).map_err(io::Error::from);
    text.and_then(|text| fs::write(&path, text)).map_err(DownloadError::writing(&path))
}

/// The version of a file; `None` if it is unknown, or that of another URL.
fn read_version(path: &Path, url: &str) -> Option<Version> {
    let text = fs::read(described(path)).ok()?;
    serde_json::from_slice(&text).ok().filter(|version: &Version| version.url == url)
}

fn remove(path: &Path) -> Result<(), DownloadError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DownloadError::writing(path)(error)),
        _ => Ok(()),
    }
}
