//! The catalogue (all movie tables) as a whole: its state and how to empty it, for imports and the generator.

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
    /// `generated` or `imported`; `None` if neither the generator nor an import has filled the tables.
    pub origin: Option<String>,
    /// Whether there is any movie.
    pub has_movies: bool,
}

impl Store {
    /// Begins a transaction that writes the catalogue. It locks the row of `cinegraph.installation` until it ends, so
    /// that imports and the generator wait for each other.
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
