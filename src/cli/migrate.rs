//! `cinegraph migrate`

use crate::app::App;

pub(super) async fn run(app: &App) -> anyhow::Result<()> {
    app.store.migrate().await?;
    let installation = app.store.installation().await?;
    let tables = if installation.owns_catalogue { "made here" } else { "another application's, left as they were" };
    super::print(&format!("The schema is up to date; the film tables are {tables}.\n"))
}
