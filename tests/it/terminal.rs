//! The program as a person at a terminal sees it.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use sqlx::PgPool;
use unicode_width::UnicodeWidthStr;

use crate::cli::{cinegraph, imported, printed};
use crate::support::url;

const LONG: &str =
    "The Unbearably Long Title of a Film That Nobody Ever Manages to Write on a Single Line of Eighty Columns";
const WIDE: &str = "千と千尋の神隠しと猫の恩返しとハウルの動く城と崖の上のポニョと魔女の宅急便ともののけ姫と天空の城";
const RIGHT_TO_LEFT: &str = "איש אחד";

/// Runs a command in a terminal of this many columns. Returns its exit code and what is on the screen, standard error
/// included.
fn in_terminal(columns: u16, mut command: Command) -> (Option<i32>, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
    let mut child = command.spawn().unwrap();
    // The other ends of the terminal: only when the child has closed its own, reading ends.
    drop(command);
    let (mut screen, mut bytes) = (Vec::new(), [0; 4096]);
    let mut master = File::from(master);
    // The end is the error EIO.
    while let Ok(count @ 1..) = master.read(&mut bytes) {
        screen.extend_from_slice(&bytes[..count]);
    }
    (child.wait().unwrap().code(), String::from_utf8(screen).unwrap().replace("\r\n", "\n"))
}

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = cinegraph(url, arguments);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    command
}

/// The text without the sequences for bold and the controls around right-to-left text.
fn plain(screen: &str) -> String {
    screen.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "").replace(['\u{2068}', '\u{2069}'], "")
}

/// Migrates, imports, and gives long titles to three films.
async fn films(pool: &PgPool) -> String {
    let url = imported(pool);
    for (id, title) in [(14, LONG), (4, WIDE), (38, RIGHT_TO_LEFT)] {
        let update = "UPDATE movies SET title = $1 WHERE tmdb_id = $2";
        sqlx::query(update).bind(title).bind(id).execute(pool).await.unwrap();
    }
    printed(&url, &["refresh", "all"]);
    url
}

#[sqlx::test(migrations = false)]
async fn tables_fit_the_terminal(pool: PgPool) {
    let url = films(&pool).await;
    let commands: [&[&str]; 8] = [
        &["predict", "--decade", "1990"],
        &["validate"],
        &["validate", "--profiles"],
        &["lists"],
        &["profiles"],
        &["film", "film"],
        &["film", "--id", "14"],
        &["status"],
    ];
    for arguments in commands {
        for columns in [80, 100, 200] {
            let (code, screen) = in_terminal(columns, command(&url, arguments));
            let shown = plain(&screen);
            assert_eq!(code, Some(0), "{arguments:?}: {screen}");
            // Sentences, which the terminal wraps.
            let is_sentence = |line: &&str| line.starts_with("No status") || line.starts_with("Left out");
            let rows = shown.lines().filter(|line| !is_sentence(line));
            let widest = rows.max_by_key(|line| line.width()).unwrap();
            // The title of one film is no row.
            assert!(widest.width() <= columns.into() || widest.contains(LONG), "{arguments:?} in {columns}:\n{shown}");
        }
    }
    let predict = |columns| plain(&in_terminal(columns, command(&url, commands[0])).1);
    let [narrow, usual, wide] = [80, 100, 200].map(predict);
    assert!(narrow.contains("The Unbearably Long") && narrow.contains('…') && !narrow.contains(LONG), "{narrow}");
    let has = |screen: &str, column: &str| screen.lines().any(|line| line.starts_with("Rank") && line.contains(column));
    assert!(has(&narrow, "Released") && !has(&narrow, "Culture"), "{narrow}");
    assert!(has(&usual, "Culture") && !has(&usual, "Known"), "{usual}");
    assert!(has(&wide, "Known") && wide.contains(LONG) && wide.contains(WIDE) && !wide.contains('…'), "{wide}");
    // Without a terminal, nothing is cut.
    let piped = printed(&url, commands[0]);
    assert!(has(&piped, "Known") && piped.contains(LONG) && piped.contains(WIDE), "{piped}");
    // Right-to-left titles leave the order of their line alone.
    let (_, screen) = in_terminal(80, command(&url, commands[0]));
    assert!(screen.contains(&format!("\u{2068}{RIGHT_TO_LEFT}\u{2069}  ")), "{screen}");
    assert!(piped.contains(&format!("  {RIGHT_TO_LEFT}  ")), "{piped}");
}

#[sqlx::test(migrations = false)]
async fn colours_are_for_terminals_that_want_them(pool: PgPool) {
    let url = imported(&pool);
    let screen = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = command(&url, arguments);
        command.envs(variables.iter().copied());
        in_terminal(100, command).1
    };
    let [lists, unknown] = [&["lists"][..], &["predict", "--list", "nope"]];
    for none in [&[("NO_COLOR", "1")][..], &[("TERM", "dumb")]] {
        assert!(!screen(none, lists).contains('\u{1b}'), "{none:?}");
        assert!(screen(none, unknown).contains("error: unknown list"), "{none:?}");
    }
    for some in [&[][..], &[("NO_COLOR", "")]] {
        assert!(screen(some, lists).starts_with("\u{1b}[1mKey  "), "{some:?}");
        assert!(screen(some, unknown).contains("\u{1b}[1;31merror:\u{1b}[0m unknown list"), "{some:?}");
    }
    let warned = screen(&[("CINEGRAPH_API_KEY", "x")], lists);
    assert!(warned.contains("\u{1b}[33m WARN\u{1b}[0m cinegraph::cli: ignoring variables"), "{warned}");
}

#[sqlx::test(migrations = false)]
async fn progress_has_no_counter_before_something_is_done(pool: PgPool) {
    let url = url(&pool);
    printed(&url, &["migrate"]);
    let (code, screen) = in_terminal(100, command(&url, &["generate", "--films", "3000"]));
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains(" 0/") && screen.contains("3,000/3,000"), "{screen:?}");
    assert!(screen.contains("\u{1b}[2KScores of "), "results are lines of their own: {screen:?}");
}
