//! Persisted documents: automatic persisted queries, and the trusted documents of a manifest (optionally the only
//! documents that are allowed).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Request, ServerError, Value};
use cached::{Cached, LruCache};
use sha2::{Digest, Sha256};

use super::error::error_with_code;
use super::error_code::ErrorCode;

/// Maximum number of automatic persisted queries in memory. A choice: if there are more, the least recently used is
/// dropped, and its client sends it again.
const MAX_PERSISTED: usize = 1_000;

/// Longer documents, in bytes, are executed but not persisted. With [`MAX_PERSISTED`], this bounds their memory to
/// about 16 MiB.
const MAX_PERSISTED_BYTES: usize = 16 * 1024;

/// Message that clients of the persisted-query protocol check for before they send the document.
const NOT_FOUND: &str = "PersistedQueryNotFound";

const UNTRUSTED: &str = "this service executes only documents of its trusted_documents_file: send one of them, or ask its \
     operator to add this one";

const MALFORMED_HASH: &str = "extensions.persistedQuery needs version 1 and sha256Hash, 64 hexadecimal digits";

/// ID of a trusted document, in the data of a request that refers to one.
#[derive(Debug, Clone)]
pub struct DocumentId(pub String);

/// Trusted documents of a manifest.
#[derive(Debug, Clone, Default)]
pub struct TrustedDocuments {
    /// The documents by ID. The manifest chooses the IDs, usually the SHA-256 of the document.
    pub by_id: HashMap<String, String>,
    /// Whether all other documents are rejected.
    pub only: bool,
}

/// The known documents: trusted and persisted.
#[derive(Clone)]
pub(super) struct Documents {
    trusted: Arc<TrustedDocuments>,
    /// Trusted documents by SHA-256, because a client may also send the text or the hash.
    digests: Arc<HashMap<[u8; 32], String>>,
    automatic: Arc<Mutex<LruCache<[u8; 32], Arc<str>>>>,
}

impl Documents {
    pub(super) fn new(trusted: TrustedDocuments) -> Self {
        let digests = trusted.by_id.values().map(|document| (digest(document), document.clone())).collect();
        let automatic = LruCache::builder().max_size(MAX_PERSISTED).build().expect("the size is not 0");
        Self { trusted: Arc::new(trusted), digests: Arc::new(digests), automatic: Arc::new(Mutex::new(automatic)) }
    }

    /// Fills in the document of a request that refers to one, and persists a document that is sent with its hash.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` for an unknown ID or hash, `FORBIDDEN` for an untrusted document if only trusted
    /// ones are allowed, `BAD_USER_INPUT` for an invalid hash.
    pub(super) fn resolve(&self, request: &mut Request) -> Result<(), ServerError> {
        if let Some(id) = request.data.get(&std::any::TypeId::of::<DocumentId>()) {
            let id = id.downcast_ref::<DocumentId>().map(|id| id.0.as_str()).unwrap_or_default();
            let Some(document) = self.trusted.by_id.get(id) else {
                return Err(error_with_code(ErrorCode::PersistedQueryNotFound, NOT_FOUND));
            };
            request.query.clone_from(document);
            return Ok(());
        }
        let Some(hash) = persisted_hash(request)? else {
            return if self.trusted.only && !self.digests.contains_key(&digest(&request.query)) {
                Err(error_with_code(ErrorCode::Forbidden, UNTRUSTED))
            } else {
                Ok(())
            };
        };
        if let Some(document) = self.digests.get(&hash) {
            request.query.clone_from(document);
            return Ok(());
        }
        if self.trusted.only {
            return Err(error_with_code(ErrorCode::Forbidden, UNTRUSTED));
        }
        let mut automatic = self.automatic.lock().unwrap_or_else(PoisonError::into_inner);
        if request.query.is_empty() {
            // The client has sent only the hash.
            let Some(document) = automatic.cache_get(&hash) else {
                return Err(error_with_code(ErrorCode::PersistedQueryNotFound, NOT_FOUND));
            };
            request.query = document.to_string();
            return Ok(());
        }
        if digest(&request.query) != hash {
            let problem = "extensions.persistedQuery.sha256Hash does not match the query";
            return Err(error_with_code(ErrorCode::BadUserInput, problem));
        }
        if request.query.len() <= MAX_PERSISTED_BYTES {
            automatic.cache_set(hash, request.query.as_str().into());
        }
        Ok(())
    }
}

/// The hash in `extensions.persistedQuery`; `None` without that extension.
///
/// # Errors
/// `BAD_USER_INPUT` if the extension is malformed.
fn persisted_hash(request: &Request) -> Result<Option<[u8; 32]>, ServerError> {
    let Some(Value::Object(persisted)) = request.extensions.get("persistedQuery") else { return Ok(None) };
    let malformed = || error_with_code(ErrorCode::BadUserInput, MALFORMED_HASH);
    if !matches!(persisted.get("version"), Some(Value::Number(version)) if version.as_u64() == Some(1)) {
        return Err(malformed());
    }
    let Some(Value::String(hex)) = persisted.get("sha256Hash") else { return Err(malformed()) };
    unhex(hex).map(Some).ok_or_else(malformed)
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn digest(document: &str) -> [u8; 32] {
    Sha256::digest(document).into()
}
