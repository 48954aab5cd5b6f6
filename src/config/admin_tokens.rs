//! The file of admin tokens: who may administer.
//!
//! ```text
//! # one token a line, bare or with a label
//! 5f2c9d0e7a41b86330d9f4c2e1a7b580
//! deploy=ZGVwbG95IHRva2VuIGZvciB0aGUgcGlwZWxpbmU=
//! ```

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::Secret;

/// Fewer bytes could be guessed.
const TOKEN_MIN_BYTES: usize = 32;

/// What the file holds.
#[derive(Debug)]
pub struct AdminTokens {
    /// In the file's order; empty when all lines are blank or comments.
    pub tokens: Vec<AdminToken>,
    /// What the operator should mend: other users of the machine can read the file.
    pub warning: Option<String>,
}

/// One token that proves an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// Who holds the token. May be logged, unlike the token.
    pub label: Option<String>,
    /// At least 32 printable ASCII characters.
    pub token: Secret,
}

/// Why a file of tokens was refused. Lines count from 1; no text shows a token.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokensError {
    /// Not there, not readable, not UTF-8.
    #[error("cannot read the admin tokens in {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A token that could be guessed.
    #[error("{path:?}, line {line}: the token has {bytes} bytes, expected at least {TOKEN_MIN_BYTES}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Of the token.
        line: usize,
        /// Of the token.
        bytes: usize,
    },
    /// A token that no client could send.
    #[error(
        "{path:?}, line {line}: a token may contain only printable ASCII characters and no spaces; write comments on \
         separate lines"
    )]
    NotPlain {
        /// The file.
        path: PathBuf,
        /// Of the token.
        line: usize,
    },
}

impl AdminTokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`AdminTokensError`] when it can't be read, or a line is not a token.
    pub fn read(path: &Path) -> Result<Self, AdminTokensError> {
        let (text, mode) =
            text_and_mode(path).map_err(|source| AdminTokensError::Read { path: path.to_owned(), source })?;
        let warning = (mode & 0o004 != 0).then(|| {
            format!("every user of this machine can read the admin tokens; try: chmod 600 {}", path.display())
        });
        Ok(Self { tokens: tokens_in(&text, path)?, warning })
    }

    /// The token that equals this text; none if no token does. Compares in constant time, so that the time reveals nothing.
    #[must_use]
    pub fn holder_of(&self, presented: &str) -> Option<&AdminToken> {
        // Hashes are all of one length: comparing texts would stop at once where the lengths differ.
        let presented = Sha256::digest(presented);
        self.tokens.iter().fold(None, |holder, token| {
            let is_theirs = Sha256::digest(token.token.expose()).as_slice().ct_eq(presented.as_slice());
            if is_theirs.into() { Some(token) } else { holder }
        })
    }
}

fn text_and_mode(path: &Path) -> io::Result<(String, u32)> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, file.metadata()?.permissions().mode()))
}

fn tokens_in(text: &str, path: &Path) -> Result<Vec<AdminToken>, AdminTokensError> {
    let numbered = text.lines().map(str::trim).zip(1..);
    numbered
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            let (label, token) = label_and_token(line);
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(AdminTokensError::NotPlain { path: path.to_owned(), line: number });
            }
            if token.len() < TOKEN_MIN_BYTES {
                return Err(AdminTokensError::TooShort { path: path.to_owned(), line: number, bytes: token.len() });
            }
            Ok(AdminToken { label: label.map(str::to_owned), token: Secret::from(token.to_owned()) })
        })
        .collect()
}

/// Splits `label=token`. A final `=` or `==` is the Base64 padding of a token without label, not a separator.
fn label_and_token(line: &str) -> (Option<&str>, &str) {
    match line.split_once('=') {
        Some((label, token)) if !matches!(token, "" | "=") => (Some(label.trim_end()), token.trim_start()),
        _ => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> Result<Vec<AdminToken>, AdminTokensError> {
        tokens_in(text, Path::new("tokens"))
    }

    fn token(label: Option<&str>, token: &str) -> AdminToken {
        AdminToken { label: label.map(str::to_owned), token: Secret::from(token.to_owned()) }
    }

    #[test]
    fn tokens_stand_bare_or_labelled_among_comments() {
        let text = format!("# who\n\n{TOKEN}\r\n  deploy = {TOKEN}x  \nops={TOKEN}==\n{TOKEN}=\n{TOKEN}==");
        let expected = [
            token(None, TOKEN),
            token(Some("deploy"), &format!("{TOKEN}x")),
            token(Some("ops"), &format!("{TOKEN}==")),
            token(None, &format!("{TOKEN}=")),
            token(None, &format!("{TOKEN}==")),
        ];
        assert_eq!(read(&text).unwrap(), expected);
        assert_eq!(read("# nobody\n").unwrap(), []);
    }

    #[test]
    fn a_token_is_its_holders_and_nothing_like_it_is_anybodys() {
        let tokens = read(&format!("old={TOKEN}\nnew={TOKEN}x")).unwrap();
        let admin = AdminTokens { tokens, warning: None };
        let holder = |token: &str| admin.holder_of(token).and_then(|holder| holder.label.clone());
        assert_eq!(holder(TOKEN).as_deref(), Some("old"));
        assert_eq!(holder(&format!("{TOKEN}x")).as_deref(), Some("new"));
        for wrong in ["", &TOKEN[1..], &TOKEN.to_uppercase(), &format!("{TOKEN} "), &format!("old={TOKEN}")] {
            assert_eq!(holder(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_short_token_is_refused_by_its_line_and_never_shown() {
        for line in [&TOKEN[1..], &format!("ops={}", &TOKEN[1..])] {
            let error = read(&format!("{TOKEN}\n# next\n{line}")).unwrap_err();
            assert_eq!(error.to_string(), r#""tokens", line 3: the token has 31 bytes, expected at least 32"#);
            assert!(!format!("{error:?}").contains(&TOKEN[1..]));
        }
    }

    #[test]
    fn a_comment_behind_a_token_is_not_taken_for_a_part_of_it() {
        let error = read(&format!("{TOKEN} # mine")).unwrap_err();
        assert!(error.to_string().starts_with(r#""tokens", line 1: a token may contain only"#), "{error}");
    }

    #[test]
    fn a_file_that_everybody_can_read_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, TOKEN).unwrap();
        for (mode, is_warned) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(AdminTokens::read(&path).unwrap().warning.is_some(), is_warned, "{mode:o}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = AdminTokens::read(Path::new("/nowhere/tokens")).unwrap_err();
        assert_eq!(error.to_string(), r#"cannot read the admin tokens in "/nowhere/tokens""#);
    }
}
