//! Downloads from a server that fails: what is fetched again, what is refused, and what stays on the disk.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output};
use std::time::Duration;

use cinegraph::services::download::{DownloadError, Fault as Cause, Outcome, Patience, download};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::cli::{cinegraph, run, stderr_of};
use crate::import_imdb::{DUMPS, gzip};
use crate::support::{CertificateAuthority, FileFault as Fault, FileServer, signal, until, url};

const NAME: &str = "title.basics.tsv.gz";
const PATIENCE: Patience =
    Patience { read_timeout: Duration::from_secs(10), attempts: 5, first_pause: Duration::from_millis(1) };

/// A server with one file, and a directory to download it to.
struct Scene {
    server: FileServer,
    content: Vec<u8>,
    dir: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (server, content) = (FileServer::start().await, gzip(&noise(50_000)));
        server.put(NAME, content.clone());
        Self { server, content, dir: tempfile::tempdir().unwrap() }
    }

    async fn download(&self) -> Result<Outcome, DownloadError> {
        self.download_with(PATIENCE).await
    }

    async fn download_with(&self, patience: Patience) -> Result<Outcome, DownloadError> {
        let base = format!("http://{}", self.server.address).parse().unwrap();
        let outcomes = download(&[NAME], &base, self.dir.path(), patience, &mut |_| ()).await?;
        assert_eq!(fs::read(self.path(NAME)).unwrap(), self.content, "{outcomes:?}");
        assert!(!self.path(&format!("{NAME}.part")).exists());
        Ok(outcomes[0].1)
    }

    /// Downloads, which must fail, and leave no file; returns the fault.
    async fn refused(&self) -> Cause {
        let error = self.download().await.expect_err("a fault");
        assert!(!self.path(NAME).exists());
        match error {
            DownloadError::Fetch { fault, .. } => fault,
            error => panic!("{error:?}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn all(&self) -> Outcome {
        let bytes = self.content.len() as u64;
        Outcome::Fetched { bytes, new_bytes: bytes }
    }
}

/// Bytes that gzip does not shorten.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn an_unchanged_file_is_fetched_once() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.download().await.unwrap(), scene.all());
    assert_eq!(scene.download().await.unwrap(), Outcome::Unchanged);

    scene.content = gzip(&noise(60_000));
    scene.server.put(NAME, scene.content.clone());
    assert_eq!(scene.download().await.unwrap(), scene.all());

    // Another program has changed the file.
    fs::write(scene.path(NAME), "x").unwrap();
    assert_eq!(scene.download().await.unwrap(), scene.all());
}

#[tokio::test]
async fn a_dropped_connection_is_continued_where_it_broke() {
    let scene = Scene::new().await;
    scene.server.fail([1, 10_000, 20_000].map(Fault::CloseAfter));

    let outcome = scene.download().await.unwrap();

    // One byte is no beginning of a file: it is fetched again.
    assert_eq!(outcome, scene.all());
    let requests = [NAME.to_owned(), NAME.to_owned(), format!("{NAME} bytes=10000-"), format!("{NAME} bytes=30000-")];
    assert_eq!(scene.server.requests(), requests);
}

#[tokio::test]
async fn a_later_download_continues_an_earlier_one() {
    let scene = Scene::new().await;
    scene.server.fail(vec![Fault::CloseAfter(100); 5]);
    let error = scene.download().await.expect_err("five faults");
    assert!(matches!(&error, DownloadError::Fetch { attempts: 5, fault: Cause::Broken(_), .. }), "{error:?}");

    let new_bytes = scene.content.len() as u64 - 500;
    assert_eq!(scene.download().await.unwrap(), Outcome::Fetched { bytes: new_bytes + 500, new_bytes });
    assert_eq!(scene.server.requests().last().unwrap(), &format!("{NAME} bytes=500-"));
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_fetched_from_its_beginning() {
    let mut scene = Scene::new().await;
    scene.server.fail(vec![Fault::CloseAfter(100); 5]);
    scene.download().await.expect_err("five faults");
    scene.content = gzip(&noise(60_000));
    scene.server.put(NAME, scene.content.clone());

    assert_eq!(scene.download().await.unwrap(), scene.all());
}

#[tokio::test]
async fn wrong_replies_to_a_request_for_the_rest_restart_the_file() {
    for (fault, requests) in [
        (Fault::IgnoreRange, 2),
        (Fault::ContentRange("bytes 0-9/10"), 3),
        (Fault::ContentRange("bytes 1000-2000/2001"), 3),
        (Fault::ContentRange("kilobytes 1-2/3"), 3),
        (Fault::Reply("206 Partial Content".to_owned(), "x"), 3),
        (Fault::Reply("416 Range Not Satisfiable".to_owned(), ""), 3),
    ] {
        let scene = Scene::new().await;
        scene.server.fail([Fault::CloseAfter(1000), fault.clone()]);

        scene.download().await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));

        let last = scene.server.requests();
        assert_eq!(last.len(), requests, "{fault:?}: {last:?}");
    }
}

#[tokio::test]
async fn a_server_without_versions_is_never_asked_for_a_part() {
    let scene = Scene::new().await;
    scene.server.omit_versions();
    scene.server.fail([Fault::CloseAfter(1000)]);

    assert!(scene.download().await.is_ok());
    assert!(scene.download().await.is_ok());
    assert_eq!(scene.server.requests(), [NAME, NAME, NAME]);
}

#[tokio::test]
async fn a_server_that_always_begins_again_ends_the_download() {
    let scene = Scene::new().await;
    scene.server.omit_versions();
    scene.server.fail(vec![Fault::CloseAfter(40_000); 5]);

    assert!(matches!(scene.refused().await, Cause::Broken(_)));
    assert_eq!(scene.server.requests().len(), 5);
}

#[tokio::test]
async fn what_is_no_whole_gzip_file_is_refused() {
    let page = "<html><head><title>Access\n denied</title></head></html>";
    let scene = Scene::new().await;
    scene.server.fail([Fault::Reply("200 OK\r\ncontent-type: text/html".to_owned(), page)]);
    let text = scene.refused().await.to_string();
    assert_eq!(text, "this is no gzip file, but text/html: \"Access denied\"");

    scene.server.fail([Fault::Reply("200 OK".to_owned(), "")]);
    assert!(scene.refused().await.to_string().ends_with("data without a content type: it is empty"));

    // Cut off on the server, which announces the length that it has.
    scene.server.fail([Fault::Shorter(10)]);
    assert!(matches!(scene.refused().await, Cause::Damaged { in_parts: false, .. }));

    let mut damaged = scene.content.clone();
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    scene.server.put(NAME, damaged);
    assert!(matches!(scene.refused().await, Cause::Damaged { in_parts: false, .. }));
    // Nothing of it is used later.
    scene.server.put(NAME, scene.content.clone());
    scene.server.requests();
    assert_eq!(scene.download().await.unwrap(), scene.all());
    assert_eq!(scene.server.requests(), [NAME]);
}

#[tokio::test]
async fn parts_that_do_not_fit_together_are_fetched_again_as_a_whole() {
    let scene = Scene::new().await;
    scene.server.fail([Fault::CloseAfter(1000)]);
    let patience = Patience { attempts: 1, ..PATIENCE };
    scene.download_with(patience).await.expect_err("one attempt");
    let part = scene.path(&format!("{NAME}.part"));
    let mut bytes = fs::read(&part).unwrap();
    bytes[900] ^= 1;
    fs::write(&part, bytes).unwrap();

    assert!(scene.download().await.is_ok());
}

#[tokio::test]
async fn a_complete_part_is_only_verified() {
    let scene = Scene::new().await;
    scene.download().await.unwrap();
    for suffix in ["", ".json"] {
        fs::rename(scene.path(&format!("{NAME}{suffix}")), scene.path(&format!("{NAME}.part{suffix}"))).unwrap();
    }
    scene.server.requests();

    let bytes = scene.content.len() as u64;
    assert_eq!(scene.download().await.unwrap(), Outcome::Fetched { bytes, new_bytes: 0 });
    assert!(scene.server.requests().is_empty());
    assert_eq!(scene.download().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn busy_servers_are_asked_again_and_missing_files_are_not() {
    let scene = Scene::new().await;
    let busy = Fault::Reply("503 Service Unavailable\r\nretry-after: 0".to_owned(), "");
    scene.server.fail([busy.clone(), Fault::Reply("429 Too Many Requests".to_owned(), ""), busy]);
    assert_eq!(scene.download().await.unwrap(), scene.all());

    let scene = Scene::new().await;
    scene.server.fail([Fault::Reply("404 Not Found".to_owned(), "")]);
    assert_eq!(scene.refused().await.to_string(), "the server responds with status 404 Not Found");
    // 304 to a request without a condition, and 206 to one without a range.
    for status in ["304 Not Modified", "206 Partial Content"] {
        scene.server.fail([Fault::Reply(status.to_owned(), "")]);
        assert_eq!(scene.refused().await.to_string(), format!("the server responds with status {status}"));
    }
    assert_eq!(scene.download().await.unwrap(), scene.all());
}

#[tokio::test]
async fn a_silent_server_is_asked_again() {
    let scene = Scene::new().await;
    scene.server.fail([Fault::Silence, Fault::StallAfter(1000)]);

    let patience = Patience { read_timeout: Duration::from_millis(300), ..PATIENCE };
    assert_eq!(scene.download_with(patience).await.unwrap(), scene.all());

    assert_eq!(scene.server.requests(), [NAME.to_owned(), NAME.to_owned(), format!("{NAME} bytes=1000-")]);
}

#[tokio::test]
async fn redirects_are_followed_up_to_five_times() {
    let scene = Scene::new().await;
    let redirect = Fault::Reply(format!("302 Found\r\nlocation: /{NAME}"), "");
    scene.server.fail(vec![redirect.clone(); 5]);
    assert_eq!(scene.download().await.unwrap(), scene.all());

    let scene = Scene::new().await;
    scene.server.fail(vec![redirect; 6]);
    assert!(matches!(scene.refused().await, Cause::Redirect(_)));
    assert_eq!(scene.server.requests().len(), 6);
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let scene = Scene::new().await;
    std::os::unix::fs::symlink("/dev/full", scene.path(&format!("{NAME}.part"))).unwrap();

    assert!(matches!(scene.download().await, Err(DownloadError::NoSpace(_))));
}

#[tokio::test]
async fn two_downloads_into_one_directory_are_not_mixed() {
    let scene = Scene::new().await;
    scene.server.fail([Fault::StallAfter(1000)]);
    let mut first = Box::pin(scene.download());
    let part = scene.path(&format!("{NAME}.part"));
    let stalled = until("the first has a part", async || part.metadata().is_ok_and(|part| part.len() == 1000));
    tokio::select! {
        _ = &mut first => panic!("it stalls"),
        () = stalled => {}
    }

    assert!(matches!(scene.download().await, Err(DownloadError::Busy(_))));
    drop(first);
    assert!(matches!(scene.download().await.unwrap(), Outcome::Fetched { .. }));
}

/// A server with IMDb's dumps, and a data directory.
struct Imdb {
    server: FileServer,
    data_dir: TempDir,
}

impl Imdb {
    async fn new() -> Self {
        let server = FileServer::start().await;
        for (name, text) in DUMPS {
            server.put(name, gzip(text.as_bytes()));
        }
        Self { server, data_dir: tempfile::tempdir().unwrap() }
    }

    /// Runs `import imdb --download`, while the server of this test goes on.
    async fn import(&self, pool: &PgPool, arguments: &[&str]) -> Output {
        let command = self.start(pool, arguments);
        tokio::task::spawn_blocking(|| command.wait_with_output()).await.unwrap().unwrap()
    }

    fn start(&self, pool: &PgPool, arguments: &[&str]) -> Child {
        let base = format!("http://{}", self.server.address);
        let arguments = [&["import", "imdb", "--download", "--base-url", &base], arguments].concat();
        let mut command = cinegraph(&url(pool), &arguments);
        command.env("CINEGRAPH_DATA_DIR", self.data_dir.path()).env("NO_PROXY", "127.0.0.1");
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    }
}

#[sqlx::test(migrations = false)]
async fn downloads_are_imported_once_the_terms_are_accepted(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    let imdb = Imdb::new().await;

    let refused = imdb.import(&pool, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    let told = stderr_of(&refused);
    assert!(told.contains("personal and non-commercial use") && told.contains("developer.imdb.com"), "{told}");
    assert!(told.contains("--accept-imdb-terms"), "{told}");
    assert!(imdb.server.requests().is_empty());

    let first = imdb.import(&pool, &["--accept-imdb-terms"]).await;
    let printed = String::from_utf8_lossy(&first.stdout);
    assert!(first.status.success(), "{}", stderr_of(&first));
    assert!(printed.contains("title.principals.tsv.gz: downloaded"), "{printed}");
    let movies: i64 = sqlx::query_scalar("SELECT count(*) FROM movies").fetch_one(&pool).await.unwrap();
    assert_eq!(movies, 3);

    // They are asked for once; and nothing is fetched again.
    let second = imdb.import(&pool, &["--no-refresh"]).await;
    let printed = String::from_utf8_lossy(&second.stdout);
    assert!(second.status.success(), "{}", stderr_of(&second));
    assert_eq!(printed.matches("unchanged since the last download").count(), 4, "{printed}");
}

#[sqlx::test(migrations = false)]
async fn an_interrupted_download_is_continued(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    let imdb = Imdb::new().await;
    imdb.server.fail([Fault::StallAfter(50)]);
    let command = imdb.start(&pool, &["--accept-imdb-terms"]);
    let part = imdb.data_dir.path().join("imdb").join("title.ratings.tsv.gz.part");
    until("a part is there", async || part.metadata().is_ok_and(|part| part.len() == 50)).await;

    signal("INT", &[command.id()]);
    let interrupted = tokio::task::spawn_blocking(|| command.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(interrupted.status.code(), Some(130), "{}", stderr_of(&interrupted));
    let continued = imdb.import(&pool, &["--no-refresh"]).await;

    assert!(continued.status.success(), "{}", stderr_of(&continued));
    assert_eq!(imdb.server.requests()[..2], ["title.ratings.tsv.gz", "title.ratings.tsv.gz bytes=50-"]);
}

#[sqlx::test(migrations = false)]
async fn generated_movies_are_noticed_before_the_download(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    assert!(run(&url(&pool), &["generate", "--films", "10"]).status.success());
    let imdb = Imdb::new().await;

    let refused = imdb.import(&pool, &["--accept-imdb-terms"]).await;

    assert!(stderr_of(&refused).contains("--replace-generated"), "{}", stderr_of(&refused));
    assert!(imdb.server.requests().is_empty());
}

#[sqlx::test(migrations = false)]
async fn certificates_are_checked_and_https_is_not_left(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    let authority = CertificateAuthority::new();
    let server = FileServer::with_tls(&authority.issue("IP:127.0.0.1")).await;
    let plain = Imdb::new().await;
    let elsewhere = format!("301 Moved Permanently\r\nlocation: http://{}/title.ratings.tsv.gz", plain.server.address);
    server.fail([Fault::Reply(elsewhere, "")]);
    let import = async |trusted: bool| {
        let base = format!("https://{}", server.address);
        let arguments = ["import", "imdb", "--download", "--accept-imdb-terms", "--base-url", &base];
        let mut command = cinegraph(&url(&pool), &arguments);
        command.env("CINEGRAPH_DATA_DIR", plain.data_dir.path()).env("NO_PROXY", "127.0.0.1");
        if trusted {
            command.env("SSL_CERT_FILE", authority.certificate());
        }
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    };

    let told = stderr_of(&import(true).await);
    assert!(told.contains("the server redirects from https to http, which is not safe"), "{told}");
    for (name, text) in DUMPS {
        server.put(name, gzip(text.as_bytes()));
    }
    let output = import(true).await;
    assert!(output.status.success(), "{}", stderr_of(&output));
    let told = stderr_of(&import(false).await);
    assert!(told.contains("there is no secure connection to the server: ") && !told.contains("trying again"), "{told}");
}
