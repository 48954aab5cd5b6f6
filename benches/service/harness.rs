//! Shared by the measurements: catalogues, the service as a separate process, and a client that measures latency.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Longer than any response takes, the slowest cold one included.
const PATIENCE: Duration = Duration::from_secs(90);

/// The URL of a database with this many generated movies; creates it if missing.
pub(crate) async fn catalogue(url: &str, movies: u32) -> Result<String> {
    let (server, parameters) = url.split_once('?').map_or((url, String::new()), |(url, p)| (url, format!("?{p}")));
    let (server, _) = server.rsplit_once('/').context("DATABASE_URL names no database")?;
    let name = format!("bench_{movies}");
    let database = format!("{server}/{name}{parameters}");
    let mut admin = PgConnection::connect(url).await?;
    if sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&name).fetch_optional(&mut admin).await?.is_none()
    {
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await?;
        cinegraph(&database, &["migrate"])?;
        let generated = cinegraph(&database, &["generate", "--films", &movies.to_string()])?;
        println!("Generated and computed in {}.\n", text(generated));
    }
    cinegraph(&database, &["migrate"])?;
    Ok(database)
}

/// Runs the built program; returns its duration.
pub(crate) fn cinegraph(database: &str, arguments: &[&str]) -> Result<Duration> {
    let started = Instant::now();
    let output = command(database).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(started.elapsed())
}

fn command(database: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinegraph"));
    command.env("CINEGRAPH_DATABASE_URL", database).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The service as a separate process; killed when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Server {
    pub(crate) fn start(database: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        // The first load of a decade may take longer here than the default timeouts.
        let process = command(database)
            .env("CINEGRAPH_DATABASE_STATEMENT_TIMEOUT_SECONDS", "60")
            .env("CINEGRAPH_REQUEST_TIMEOUT_SECONDS", "60")
            .envs(settings.iter().copied())
            .args(["serve", "--http-addr", &address.to_string(), "--admin-addr", &admin.to_string()])
            .spawn()?;
        let server = Self { process, address, admin };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < Duration::from_secs(30), "the service does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(self.address)
    }

    /// Current and peak resident memory, in MB.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let megabytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
            let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
            anyhow::Ok(kibibytes * 1024 / 1_000_000)
        };
        Ok((megabytes("VmRSS:")?, megabytes("VmHWM:")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// One keep-alive connection, with the minimum of HTTP that responses of the service need.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response over HTTP.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// The time from the first byte sent to the last received, and the data.
    ///
    /// # Errors
    /// Fails if the response has errors.
    pub(crate) fn query(&mut self, query: &str) -> Result<(Duration, Value)> {
        let body = json!({ "query": query }).to_string();
        let started = Instant::now();
        let response = self.post(&body)?;
        let taken = started.elapsed();
        let mut response: Value = serde_json::from_slice(&response)?;
        ensure!(response.get("errors").is_none(), "{query}: {response}");
        Ok((taken, response["data"].take()))
    }

    /// The latency of a request with this body.
    pub(crate) fn timed(&mut self, body: &str) -> Result<Duration> {
        let started = Instant::now();
        self.post(body).map(|_| started.elapsed())
    }

    /// The response body for this request body.
    pub(crate) fn post(&mut self, body: &str) -> Result<Vec<u8>> {
        self.exchange(body).map(|response| response.body)
    }

    /// The response for this request body.
    pub(crate) fn exchange(&mut self, body: &str) -> Result<HttpResponse> {
        let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length:";
        self.stream.get_mut().write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())?;
        let mut response = HttpResponse { status: 0, head: String::new(), body: Vec::new() };
        while !response.head.ends_with("\r\n\r\n") {
            ensure!(self.stream.read_line(&mut response.head)? > 0, "the service closed the connection");
        }
        response.head.make_ascii_lowercase();
        let status = response.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        response.status = status.context("no status")?;
        response.body = vec![0; response.header("content-length").context("no length")?.parse()?];
        self.stream.read_exact(&mut response.body)?;
        Ok(response)
    }
}

/// The text of `/metrics`.
pub(crate) fn metrics(admin: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) struct Times {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let count = times.len();
        Self { median: times[count / 2], p99: times[(count * 99).div_ceil(100) - 1], worst: times[count - 1] }
    }

    pub(crate) fn print(&self, what: &str) {
        println!("| {what} | {} | {} | {} |", text(self.median), text(self.p99), text(self.worst));
    }
}

pub(crate) fn times(count: usize, send: impl FnMut(usize) -> Result<Duration>) -> Result<Times> {
    Ok(Times::of((0..count).map(send).collect::<Result<_>>()?))
}

/// Seconds with one decimal, or milliseconds with two.
pub(crate) fn text(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.1} s") } else { format!("{:.2} ms", seconds * 1000.0) }
}
