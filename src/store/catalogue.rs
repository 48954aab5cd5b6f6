//! The catalogue as a whole, for those that write it: imports and the generator.

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::transaction::OpenTransaction;

/// Ownership, origin and state of the catalogue.
#[derive(Debug)]
pub struct CatalogueState {
    /// Whether Cinegraph owns the movie tables; otherwise they are host tables.
    pub owns_catalogue: bool,
    /// `generated` or `imported`; `None` if empty.
    pub origin: Option<String>,
    /// Whether there is any movie.
    pub has_movies: bool,
}

impl Store {
    /// Starts a transaction that writes the catalogue. Locks the installation until its end, so that writers wait for
    /// each other.
    pub(super) async fn change_catalogue(&self) -> Result<(OpenTransaction, CatalogueState), StoreError> {
        let mut transaction = self.setup_transaction(QueryName::TaskSetup).await?;
        let state = sqlx::query_as!(
            CatalogueState,
            r#"SELECT owns_catalogue, catalogue_origin AS origin, EXISTS (SELECT FROM public.movies) AS "has_movies!"
               FROM cinegraph.installation FOR UPDATE"#
        )
        .fetch_one(transaction.connection())
        .await;
        let state = transaction.checked(state)?;
        Ok((transaction, state))
    }
}

/// Empties the movie tables and all derived data. Profiles stay.
pub(super) async fn empty(connection: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query_file!("src/store/sql/empty_catalogue.sql").execute(connection).await.map(|_| ())
}
