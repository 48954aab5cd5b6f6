//! Reads a gzip file to its end, which verifies its checksums and lengths.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The first bytes of each gzip file.
pub(super) const MAGIC: &[u8] = &[0x1F, 0x8B];

/// Size of a disk read, and of a decompressed part.
const BUFFER_BYTES: usize = 256 * 1024;

/// Verifies a file. Calls `progress` with the number of bytes that were read. Yields between two parts, so that other
/// tasks of the thread are not blocked, and the future can be dropped.
pub(super) async fn verify(path: &Path, mut progress: impl FnMut(u64)) -> io::Result<()> {
    let file = File::open(path)?;
    // It shares its position with `file`.
    let mut handle = file.try_clone()?;
    let mut text = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let mut buffer = vec![0; BUFFER_BYTES];
    while text.read(&mut buffer)? > 0 {
        progress(handle.stream_position()?);
        tokio::task::yield_now().await;
    }
    Ok(())
}
