//! The mutation root: one file per subject, merged into one type. Every mutation requires an authenticated
//! administrator.

mod admin_field;
mod import_list;
mod invalidate_cache;
mod list_changes;
mod profile_changes;
mod refresh_scores;

use async_graphql::MergedObject;

/// Administrative changes, by POST only. They need an admin token in the header `Authorization: Bearer …`.
#[derive(MergedObject, Default)]
pub struct Mutation(
    profile_changes::ProfileMutations,
    list_changes::ListMutations,
    import_list::ImportMutations,
    invalidate_cache::CacheMutations,
    refresh_scores::RefreshMutations,
);
