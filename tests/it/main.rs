//! What clients and operators see, each test on its own database.

mod import;
