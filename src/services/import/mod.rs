//! Imports movies from files into the database, all or nothing.
//!
//! Each file is validated row by row and streamed into a staging table; set-based statements of `store::import` then
//! merge the tables in one transaction. Of the rows, only ids stay in memory, to check references between the files.
//! The import computes no scores; a refresh afterwards does.

mod changes;
mod checks;
mod column_kind;
mod comparison;
mod csv_columns;
mod csv_import;
mod csv_reader;
mod error;
mod file_kind;
mod files;
mod full_names;
mod imdb;
mod languages;
mod links;
mod metric_names;
mod session;
mod spellings;
mod summary;
mod tmdb_ids;
mod tsv_reader;
mod values;

pub use changes::{Change, Changes, Counted};
pub use csv_import::import_csv;
pub use error::{ImportError, Problem};
pub use imdb::{IMDB_FILES, import_imdb};
pub use languages::{code as language_code, language_name};
pub use links::{LinksSummary, import_links};
pub use session::{Generated, ImportOptions, Progress, check_installation};
pub use summary::{FileSummary, ImportSummary, Nominees, SkipReason};
pub use tmdb_ids::import_tmdb_ids;
