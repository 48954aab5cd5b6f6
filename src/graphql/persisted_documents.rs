//! Documents that a client need not send, or is the only one to be allowed: automatic persisted queries, and the trusted
//! documents of a manifest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Request, ServerError, Value};
use cached::{Cached, LruCache};
use sha2::{Digest, Sha256};

use super::operation::error_with_code;
use crate::telemetry::ErrorCode;

/// Documents that are remembered at most.
const REMEMBERED: usize = 1_000;

/// Longer documents are executed and not remembered, in bytes; with [`REMEMBERED`], this bounds the memory.
const LONGEST: usize = 16 * 1024;

/// What clients that know the protocol of persisted queries look for.
const NOT_FOUND: &str = "PersistedQueryNotFound";

/// The id of a trusted document, in the data of a request that names one.
#[derive(Debug, Clone)]
pub struct DocumentId(pub String);

/// Trusted documents by id; an id is whatever the manifest says, mostly the SHA-256 of the document.
#[derive(Debug, Clone, Default)]
pub struct TrustedDocuments {
    /// The documents.
    pub by_id: HashMap<String, String>,
    /// Whether others are refused.
    pub only: bool,
}

/// All documents that are known.
#[derive(Clone)]
pub(super) struct Documents {
    trusted: Arc<TrustedDocuments>,
    /// SHA-256 of each trusted document: a client may send it whole.
    digests: Arc<HashMap<[u8; 32], String>>,
    remembered: Arc<Mutex<LruCache<[u8; 32], Arc<str>>>>,
}

impl Documents {
    pub(super) fn new(trusted: TrustedDocuments) -> Self {
        let digests = trusted.by_id.values().map(|document| (digest(document), document.clone())).collect();
        let remembered = LruCache::builder().max_size(REMEMBERED).build().expect("it is more than none");
        Self { trusted: Arc::new(trusted), digests: Arc::new(digests), remembered: Arc::new(Mutex::new(remembered)) }
    }

    /// Puts the document into a request that names one, remembers one that is sent with its hash, and refuses what is not
    /// allowed.
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
                Err(error_with_code(ErrorCode::Forbidden, "only the operations of a fixed list may be executed here"))
            } else {
                Ok(())
            };
        };
        if let Some(document) = self.digests.get(&hash) {
            request.query.clone_from(document);
            return Ok(());
        }
        if self.trusted.only {
            return Err(error_with_code(
                ErrorCode::Forbidden,
                "only the operations of a fixed list may be executed here",
            ));
        }
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if request.query.is_empty() {
            let Some(document) = remembered.cache_get(&hash) else {
                return Err(error_with_code(ErrorCode::PersistedQueryNotFound, NOT_FOUND));
            };
            request.query = document.to_string();
            return Ok(());
        }
        if digest(&request.query) != hash {
            let problem = "extensions.persistedQuery.sha256Hash is not that of the query";
            return Err(error_with_code(ErrorCode::BadUserInput, problem));
        }
        if request.query.len() <= LONGEST {
            remembered.cache_set(hash, request.query.as_str().into());
        }
        Ok(())
    }
}

/// The hash of `extensions.persistedQuery`, where there is one.
fn persisted_hash(request: &Request) -> Result<Option<[u8; 32]>, ServerError> {
    let Some(Value::Object(persisted)) = request.extensions.get("persistedQuery") else { return Ok(None) };
    let wrong =
        || error_with_code(ErrorCode::BadUserInput, "extensions.persistedQuery needs version 1 and a sha256Hash");
    if !matches!(persisted.get("version"), Some(Value::Number(version)) if version.as_u64() == Some(1)) {
        return Err(wrong());
    }
    let Some(Value::String(hex)) = persisted.get("sha256Hash") else { return Err(wrong()) };
    unhex(hex).map(Some).ok_or_else(wrong)
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
