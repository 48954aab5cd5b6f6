//! Database driver of the job worker: its statements have deadlines, like all others.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use futures_util::stream;
use graphile_worker::{
    BoxFuture, DatabaseDriver, DbError, DbExecutor, DbExecutorArg, DbParams, DbRow, DbTransaction, Notification,
    NotificationStream, TransactionDriver,
};
use tokio::sync::Mutex;

use super::connection::{Connection, Failure};
use super::listener::Listener;
use super::pool::Store;

/// Pause before the listener for new jobs reconnects, and longest single wait for a notification. A choice: the worker
/// also polls, so it finds new jobs meanwhile.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Runs the worker's statements on connections of a store. The time limit of requests applies to them, because each
/// statement reads or writes only a few jobs.
#[derive(Debug)]
pub(super) struct JobDriver(pub(super) Store);

impl JobDriver {
    /// A connection for one statement or transaction, which is not measured: the worker's statements have no name of
    /// ours.
    async fn connection(&self) -> Result<Connection, DbError> {
        let Self(store) = self;
        Ok(Connection::pooled(store.pool.acquire().await?, store.limits.request, &store.server))
    }
}

impl DbExecutor for JobDriver {
    fn execute<'a>(&'a self, sql: &'a str, params: DbParams) -> BoxFuture<'a, Result<u64, DbError>> {
        Box::pin(async move { execute(&mut self.connection().await?, sql, params).await })
    }

    fn fetch_all<'a>(&'a self, sql: &'a str, params: DbParams) -> BoxFuture<'a, Result<Vec<DbRow>, DbError>> {
        Box::pin(async move { fetch_all(&mut self.connection().await?, sql, params).await })
    }
}

impl DatabaseDriver for JobDriver {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn begin(&self) -> BoxFuture<'_, Result<DbTransaction, DbError>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            connection.begin("BEGIN".to_owned()).await?;
            Ok(DbTransaction::new(Box::new(JobTransaction(Mutex::new(connection)))))
        })
    }

    fn listen<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Option<NotificationStream>, DbError>> {
        let notifications = Notifications { store: self.0.clone(), channel: channel.to_owned(), listener: None };
        Box::pin(async move {
            // The stream never ends, because the worker would not listen again.
            let stream: NotificationStream = Box::pin(stream::unfold(notifications, async |mut notifications| {
                let notification = notifications.next().await;
                Some((Ok(notification), notifications))
            }));
            Ok(Some(stream))
        })
    }
}

/// A transaction of the worker. Dropped before its commit, it closes its connection, which rolls it back. The mutex is
/// needed because the trait runs statements through a shared reference.
struct JobTransaction(Mutex<Connection>);

impl DbExecutor for JobTransaction {
    fn execute<'a>(&'a self, sql: &'a str, params: DbParams) -> BoxFuture<'a, Result<u64, DbError>> {
        Box::pin(async move { execute(&mut *self.0.lock().await, sql, params).await })
    }

    fn fetch_all<'a>(&'a self, sql: &'a str, params: DbParams) -> BoxFuture<'a, Result<Vec<DbRow>, DbError>> {
        Box::pin(async move { fetch_all(&mut *self.0.lock().await, sql, params).await })
    }
}

impl TransactionDriver for JobTransaction {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), DbError>> {
        Box::pin(async move { Ok(self.0.into_inner().commit().await?) })
    }
}

async fn execute(connection: &mut Connection, sql: &str, params: DbParams) -> Result<u64, DbError> {
    let (mut raw, response) = connection.send();
    response.complete(DbExecutorArg::execute(&mut raw, sql, params)).await
}

async fn fetch_all(connection: &mut Connection, sql: &str, params: DbParams) -> Result<Vec<DbRow>, DbError> {
    let (mut raw, response) = connection.send();
    response.complete(DbExecutorArg::fetch_all(&mut raw, sql, params)).await
}

impl Failure for DbError {
    fn no_response() -> Self {
        Self::new("no server response")
    }

    fn sqlstate(&self) -> Option<Cow<'_, str>> {
        self.code().map(Cow::Borrowed)
    }

    /// True for every error that the server did not report: [`DbError`] does not tell a lost connection from other
    /// causes.
    fn loses_connection(&self) -> bool {
        self.code().is_none()
    }
}

/// Notifications about new jobs.
struct Notifications {
    store: Store,
    channel: String,
    listener: Option<Listener>,
}

impl Notifications {
    /// Waits for the next notification. A new connection also counts as one, because notifications may have been missed
    /// before it, and makes the worker look for jobs.
    async fn next(&mut self) -> Notification {
        loop {
            match &mut self.listener {
                Some(listener) => match listener.wait(LISTEN_RETRY_DELAY).await {
                    Ok(true) => return self.notification(),
                    Ok(false) => {}
                    Err(_) => self.listener = None,
                },
                None => match self.store.listener(&self.channel).await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        return self.notification();
                    }
                    Err(_) => tokio::time::sleep(LISTEN_RETRY_DELAY).await,
                },
            }
        }
    }

    /// A notification without content: the worker reads none, it only looks for jobs.
    fn notification(&self) -> Notification {
        Notification { channel: self.channel.clone(), payload: String::new() }
    }
}
