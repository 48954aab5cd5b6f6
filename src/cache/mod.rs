//! Values kept in memory, each with the version of the data that it was made of.
//!
//! Who loads is passed in as a closure, so nothing here knows what a movie is.

mod versioned;

pub use versioned::VersionedCache;
