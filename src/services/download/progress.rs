//! What a download reports while it runs, and when it is done.

/// Progress of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The file.
    pub file: &'static str,
    /// Whether the file is complete and is being verified.
    pub verifying: bool,
    /// Bytes that are fetched, or verified.
    pub bytes: u64,
    /// Size of the file; 0 if the server has not said it.
    pub total_bytes: u64,
}

/// What a download did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file was fetched: its size, and how much of it was fetched now.
    Fetched {
        /// Size of the file.
        bytes: u64,
        /// Bytes that this download has fetched.
        new_bytes: u64,
    },
    /// The directory has the server's version already.
    Unchanged,
}
