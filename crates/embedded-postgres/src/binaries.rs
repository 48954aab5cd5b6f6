//! Finds the PostgreSQL programs installed on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedPostgresError;
use super::account::output_of;
use super::data_dir::DataDir;

/// Older releases lack features that the SQL statements use.
pub(super) const OLDEST_MAJOR: u32 = 15;

const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where packages install several versions: parent directory, prefix of each version's directory, and its program
/// directory.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

/// Programs of one PostgreSQL release.
#[derive(Debug)]
pub(super) struct Binaries {
    bin: PathBuf,
    major: u32,
    /// Whether the library of `pg_stat_statements` is installed. A server that is configured to load a missing library
    /// does not start.
    pub(super) has_pg_stat_statements: bool,
}

impl Binaries {
    /// The newest release for a new cluster, or the release that created the existing cluster (`major`).
    pub(super) fn find(major: Option<u32>, data_dir: &DataDir) -> Result<Self, EmbeddedPostgresError> {
        let mut found: Vec<(u32, PathBuf)> = directories().into_iter().filter_map(with_major).collect();
        found.retain(|(found, _)| major.map_or(*found >= OLDEST_MAJOR, |major| *found == major));
        // If a release is installed twice, the first location wins.
        let chosen = found.into_iter().reduce(|best, other| if other.0 > best.0 { other } else { best });
        let missing = || match major {
            Some(major) => EmbeddedPostgresError::VersionNotInstalled { data: data_dir.data().to_owned(), major },
            None => EmbeddedPostgresError::NotInstalled,
        };
        let (major, bin) = chosen.ok_or_else(missing)?;
        let has_pg_stat_statements = pg_config(&bin.join("pg_config"), "--pkglibdir").is_some_and(|libraries| {
            let library = libraries.join("pg_stat_statements");
            ["so", "dylib"].iter().any(|suffix| library.with_extension(suffix).exists())
        });
        Ok(Self { bin, major, has_pg_stat_statements })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// Package directories come first: PATH may hold links and wrappers.
fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versioned = VERSIONED.into_iter().flat_map(|(parent, prefix, bin)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix));
        named.map(move |entry| entry.path().join(bin))
    });
    let found = versioned.chain(pg_config(Path::new("pg_config"), "--bindir")).chain(std::env::split_paths(&path));
    // Drops relative entries of PATH: the programs run in `/`, where they would name another directory.
    found.filter(|directory| directory.is_absolute()).collect()
}

fn with_major(bin: PathBuf) -> Option<(u32, PathBuf)> {
    if !PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        return None;
    }
    let mut version = Command::new(bin.join("postgres"));
    version.arg("--version");
    Some((major_of(&output_of(version).ok()?)?, bin))
}

/// 15 for `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn pg_config(program: &Path, what: &str) -> Option<PathBuf> {
    let mut command = Command::new(program);
    command.arg(what);
    output_of(command).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_the_first_number_even_of_a_beta() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("postgres: something else"), None);
    }
}
