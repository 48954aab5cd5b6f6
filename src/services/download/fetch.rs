//! Fetches one file, with as many requests as it takes.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, StatusCode, header};
use tokio::time::sleep;
use url::Url;

use super::error::{DownloadError, Fault};
use super::files::{Files, Version};
use super::patience::Patience;
use super::progress::{DownloadProgress, Outcome};
use super::{gzip, reply};
use crate::telemetry::with_causes;

/// Bytes after which a download counts as one that gets on, so that its failed attempts are forgotten.
const GAIN_BYTES: u64 = 1024 * 1024;

/// Longest pause between two attempts, and the longest that a server can ask for. Choices.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const RETRY_AFTER_MAX: Duration = Duration::from_mins(2);

/// The download of one file.
pub(super) struct Fetch<'a> {
    client: &'a Client,
    url: Url,
    files: Files,
    patience: Patience,
    name: &'static str,
    /// Bytes that were fetched by this download.
    new_bytes: u64,
    /// Whether the partial file consists of several responses.
    in_parts: bool,
}

/// A failed attempt, or an error that ends the download.
enum Failure {
    Attempt(Fault),
    Final(DownloadError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Attempt(fault)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Attempt(error.into())
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::Final(error)
    }
}

type Progress<'a> = &'a mut (dyn FnMut(DownloadProgress) + Send);

impl<'a> Fetch<'a> {
    pub(super) fn new(client: &'a Client, url: Url, files: Files, patience: Patience, name: &'static str) -> Self {
        Self { client, url, files, patience, name, new_bytes: 0, in_parts: false }
    }

    /// Fetches the file, or what is missing of it, unless the one that is here is the server's.
    pub(super) async fn run(mut self, progress: Progress<'_>) -> Result<Outcome, DownloadError> {
        let (mut attempts, mut furthest) = (0, self.files.partial_bytes());
        loop {
            let fault = match self.attempt(progress).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Attempt(fault)) => fault,
            };
            let reached = self.files.partial_bytes();
            // Measured from the furthest point, so that a server that always begins again ends the download.
            if reached >= furthest + GAIN_BYTES {
                (attempts, furthest) = (0, reached);
            }
            attempts += 1;
            if !fault.is_transient() || attempts >= self.patience.attempts {
                return Err(DownloadError::Fetch { url: self.url.to_string(), attempts, fault });
            }
            let pause = self.pause(attempts, &fault);
            tracing::warn!(file = self.name, error = with_causes(&fault), ?pause, "download failed; trying again");
            sleep(pause).await;
        }
    }

    /// The pause after this number of failed attempts.
    fn pause(&self, attempts: u32, fault: &Fault) -> Duration {
        let pause = self.patience.first_pause.saturating_mul(2_u32.saturating_pow(attempts - 1)).min(PAUSE_MAX);
        match fault {
            Fault::Status { retry_after: Some(asked), .. } => pause.max((*asked).min(RETRY_AFTER_MAX)),
            _ => pause,
        }
    }

    async fn attempt(&mut self, progress: Progress<'_>) -> Result<Outcome, Failure> {
        let version = match self.files.partial_version(self.url.as_str()) {
            // The last download ended between its last byte and the verification.
            Some((bytes, version)) if version.bytes == Some(bytes) => {
                self.in_parts = true;
                version
            }
            partial => match self.receive(partial, progress).await? {
                Some(version) => version,
                None => return Ok(Outcome::Unchanged),
            },
        };
        self.verify(progress).await?;
        let bytes = self.files.finish(version)?;
        Ok(Outcome::Fetched { bytes, new_bytes: self.new_bytes })
    }

    /// Receives the file, or the rest of it after `partial`. `None` if the complete file is the server's.
    async fn receive(
        &mut self,
        partial: Option<(u64, Version)>,
        progress: Progress<'_>,
    ) -> Result<Option<Version>, Failure> {
        let known = if partial.is_none() { self.files.complete_version(self.url.as_str()) } else { None };
        let mut response = self.request(partial.as_ref(), known.as_ref()).send().await?;
        match (response.status(), partial) {
            // Also the response to a request for the rest, if the file has changed, or the server knows no ranges.
            (StatusCode::OK, _) => {
                let version = reply::version(self.url.as_str(), &response);
                let beginning = reply::beginning_of_gzip(&mut response).await?;
                let file = self.files.begin(&version)?;
                self.in_parts = false;
                self.copy(Some(beginning), response, file, 0, version.bytes, progress).await?;
                Ok(Some(version))
            }
            (StatusCode::PARTIAL_CONTENT, Some((offset, version))) => {
                if let Err(fault) = reply::check_range(&response, offset, &version) {
                    self.files.discard()?;
                    return Err(fault.into());
                }
                let file = self.files.append()?;
                self.in_parts = true;
                let next = response.chunk().await?;
                self.copy(next, response, file, offset, version.bytes, progress).await?;
                Ok(Some(version))
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                self.files.discard()?;
                Err(Fault::NothingLeft.into())
            }
            (StatusCode::NOT_MODIFIED, None) if known.is_some() => Ok(None),
            (status, _) => Err(Fault::Status { status, retry_after: reply::retry_after(&response) }.into()),
        }
    }

    /// The request for the rest of a partial file, or for the file if it is not this version.
    fn request(&self, partial: Option<&(u64, Version)>, known: Option<&Version>) -> RequestBuilder {
        let mut request = self.client.get(self.url.clone());
        if let Some((offset, version)) = partial {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
            request = version.if_range().into_iter().fold(request, |to, value| to.header(header::IF_RANGE, value));
        }
        if let Some(Version { etag, last_modified, .. }) = known {
            request = etag.iter().fold(request, |to, value| to.header(header::IF_NONE_MATCH, value));
            request = last_modified.iter().fold(request, |to, value| to.header(header::IF_MODIFIED_SINCE, value));
        }
        request
    }

    /// Appends a response to the partial file of `at` bytes. Unbuffered, so that an interrupted download loses nothing.
    async fn copy(
        &mut self,
        mut next: Option<Bytes>,
        mut response: Response,
        mut file: File,
        mut at: u64,
        total: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<(), Failure> {
        while let Some(chunk) = next {
            file.write_all(&chunk).map_err(DownloadError::writing(&self.files.partial))?;
            let bytes = chunk.len() as u64;
            at += bytes;
            self.new_bytes += bytes;
            progress(self.progress(false, at, total));
            next = response.chunk().await?;
        }
        match total {
            Some(expected) if at != expected => Err(Fault::Length { found: at, expected }.into()),
            _ => Ok(()),
        }
    }

    async fn verify(&self, progress: Progress<'_>) -> Result<(), Failure> {
        let total = Some(self.files.partial_bytes());
        let verified = gzip::verify(&self.files.partial, |bytes| progress(self.progress(true, bytes, total))).await;
        if let Err(cause) = verified {
            self.files.discard()?;
            return Err(Fault::Damaged { cause, in_parts: self.in_parts }.into());
        }
        Ok(())
    }

    fn progress(&self, verifying: bool, bytes: u64, total: Option<u64>) -> DownloadProgress {
        DownloadProgress { file: self.name, verifying, bytes, total_bytes: total.unwrap_or_default() }
    }
}
