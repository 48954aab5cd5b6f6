//! Finds the PostgreSQL programs installed on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedPostgresError;
use super::account::output_of;
use super::data_dir::DataDir;

/// The oldest supported major version, which Debian 12 has. `scripts/install.sh` has the same number.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// The programs that a directory must have to be chosen.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where packages install several versions side by side: the parent directory, the prefix of the name of each version's
/// directory, and the directory of programs inside it. For Debian, Red Hat, and Homebrew on Apple silicon and on Intel.
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
    /// Whether the library of `pg_stat_statements` is installed. The server is configured to load it only then, because
    /// a server that is to load a missing library does not start.
    pub(super) has_pg_stat_statements: bool,
}

impl Binaries {
    /// Finds the programs of the version `major`, or of the newest installed version if it is `None`. PostgreSQL opens a
    /// cluster only with the major version that created it.
    ///
    /// # Errors
    /// If no release, or none of this major version, is installed.
    pub(super) fn find(major: Option<u32>, data_dir: &DataDir) -> Result<Self, EmbeddedPostgresError> {
        let mut found: Vec<(u32, PathBuf)> = directories().into_iter().filter_map(with_major).collect();
        found.retain(|&(installed, _)| match major {
            // The version of an existing cluster is not compared with the minimum: that was done when it was created.
            Some(wanted) => installed == wanted,
            None => installed >= OLDEST_MAJOR,
        });
        // If a release is installed twice, the directory that comes first in `directories` is chosen.
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

/// Directories that may hold the programs. Those of packages come first, because PATH may hold links and wrappers in
/// place of the programs.
fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versioned = VERSIONED.into_iter().flat_map(|(parent, prefix, bin)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix));
        named.map(move |entry| entry.path().join(bin))
    });
    let found = versioned.chain(pg_config(Path::new("pg_config"), "--bindir")).chain(std::env::split_paths(&path));
    // Drops relative entries of PATH: the programs are run in `/`, where a relative entry names another directory.
    found.filter(|directory| directory.is_absolute()).collect()
}

/// Adds the major version to a directory. `None` if a program is missing or does not tell its version.
fn with_major(bin: PathBuf) -> Option<(u32, PathBuf)> {
    if !PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        return None;
    }
    let mut version = Command::new(bin.join("postgres"));
    version.arg("--version");
    Some((major_of(&output_of(version).ok()?)?, bin))
}

/// The major version in the output of `postgres --version`: 15 for
/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The directory that `pg_config` prints for an option. `None` if it is not installed or fails.
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
