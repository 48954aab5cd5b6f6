//! Import of a list that an administrator sends as a text.

use chrono::{DateTime, Utc};

use super::list_import::{Family, ImportedList, ListImportError, ListRequest, Resolutions, import_list};
use super::{Administrator, ServiceError, Services};
use crate::store::{ListMoveKind, ListName};

/// A list, and the text that names its movies.
#[derive(Debug)]
pub struct ListUpload {
    /// Key of the list.
    pub key: String,
    /// Name; `None` keeps the present one, or takes that of the text.
    pub name: Option<String>,
    /// Edition in which the movies joined the list, for rows that do not say it.
    pub edition: Option<String>,
    /// Year of the list.
    pub year: Option<i32>,
    /// The text.
    pub text: String,
    /// Format of the text; `None` recognises it.
    pub family: Option<Family>,
    /// Whether the list is to be a target list; `None` leaves it as it is.
    pub target: Option<bool>,
    /// Corrected report of an earlier import.
    pub corrections: Option<String>,
    /// Find out what would happen, and change nothing.
    pub dry_run: bool,
    /// When the caller knows the list to have been changed last; `None` replaces any state.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl Services {
    /// Imports a list, and makes it a target list if that is requested. Returns the list, which is `None` if it is new and
    /// nothing was written.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for invalid input, or if no row matches a movie; [`ServiceError::Forbidden`] for tables of
    /// a host application; [`ServiceError::Conflict`] if the list was changed since the expected time or there are no
    /// movies; those of [`Services::set_target_list`]; [`ServiceError::Store`] if the database is unavailable.
    pub async fn import_list(
        &self,
        by: &Administrator,
        upload: &ListUpload,
    ) -> Result<(Option<ListName>, ImportedList), ServiceError> {
        let configured = self.reference.configured_targets();
        let resolutions =
            upload.corrections.as_deref().map(Resolutions::read_corrected).transpose().map_err(rejected)?;
        let request = ListRequest {
            key: &upload.key,
            name: upload.name.as_deref(),
            edition: upload.edition.as_deref(),
            year: upload.year,
            family: upload.family,
            resolutions: resolutions.unwrap_or_default(),
            expected_updated_at: upload.expected_updated_at,
            // Administrators name the time of the list that they replace.
            keep_most: false,
            target: upload.target,
            configured_targets: configured,
            person_quality: self.person_quality,
            dry_run: upload.dry_run,
        };
        let bytes = upload.text.as_bytes();
        let imported = import_list(&self.store, &self.clock, &self.versions, bytes, request).await;
        let imported = imported.map_err(rejected)?;
        if imported.movies == 0 {
            let problem = format!("none of its {} rows matches a movie of this database", imported.matches.len());
            return Err(ServiceError::invalid("input.text", problem));
        }
        if !upload.dry_run {
            let [joined, left] = [ListMoveKind::Joined, ListMoveKind::Left].map(|kind| imported.moved(kind).count());
            let (admin, list, films) = (by.label(), upload.key.as_str(), imported.movies);
            tracing::info!(admin, list, films, joined, left, is_target = upload.target, "list imported");
        }
        let list = self.store.list_names(configured).await?.into_iter().find(|list| list.key == upload.key);
        Ok((list, imported))
    }
}

/// The error of a service for an import that was rejected.
fn rejected(error: ListImportError) -> ServiceError {
    match error {
        ListImportError::Database(error) => error.into(),
        ListImportError::Key { .. } | ListImportError::SimilarKey { .. } | ListImportError::MostLeave { .. } => {
            ServiceError::invalid("input.key", error)
        }
        ListImportError::Text { field, .. } => ServiceError::invalid(format!("input.{field}"), error),
        ListImportError::Year(_) => ServiceError::invalid("input.year", error),
        ListImportError::File(_) => ServiceError::invalid("input.text", error),
        ListImportError::Report { .. } | ListImportError::OtherReport { .. } | ListImportError::NoCorrections => {
            ServiceError::invalid("input.corrections", error)
        }
        ListImportError::Changed { .. } | ListImportError::Gone => {
            ServiceError::conflict("input.expectedUpdatedAt", error)
        }
        ListImportError::Target(ServiceError::Conflict { problem, .. }) => {
            ServiceError::conflict("input.target", problem)
        }
        ListImportError::Target(ServiceError::Forbidden { problem, .. }) => {
            ServiceError::forbidden("input.target", problem)
        }
        ListImportError::Target(error) => error,
        ListImportError::NoMovies => ServiceError::conflict("input.text", error),
        ListImportError::ForeignCatalogue => ServiceError::forbidden("input.key", error),
    }
}
