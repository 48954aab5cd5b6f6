//! The file of admin tokens, with which clients prove that they may send mutations.
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

/// Minimum length of a token. Random tokens of this length cannot be guessed: 32 hexadecimal digits are 128 bits.
const TOKEN_MIN_BYTES: usize = 32;

/// The tokens in the file, and a warning if others can read it.
#[derive(Debug)]
pub struct AdminTokens {
    /// In the order of the file. Empty if all lines are blank or comments.
    pub tokens: Vec<AdminToken>,
    /// A message for the operator if every user of the machine can read the file; the tokens are valid all the same.
    pub warning: Option<String>,
}

/// A token of an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// Name of the token's holder, for logs; the token itself is never logged.
    pub label: Option<String>,
    /// At least 32 printable ASCII characters.
    pub token: Secret,
}

/// Why a file of tokens was rejected. Lines count from 1. No message shows a token.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokensError {
    /// The file does not exist, is not readable, or is not UTF-8.
    #[error("cannot read the admin tokens in {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A token is so short that it could be guessed.
    #[error("{path:?}, line {line}: the token has {bytes} bytes, expected at least {TOKEN_MIN_BYTES}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Number of the line with the token.
        line: usize,
        /// Length of the token.
        bytes: usize,
    },
    /// A token has a character that an HTTP header cannot carry.
    #[error(
        "{path:?}, line {line}: a token may contain only printable ASCII characters and no spaces; write comments on \
         separate lines"
    )]
    NotPlain {
        /// The file.
        path: PathBuf,
        /// Number of the line with the token.
        line: usize,
    },
}

impl AdminTokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`AdminTokensError`] if the file cannot be read, or if a line is not a token.
    pub fn read(path: &Path) -> Result<Self, AdminTokensError> {
        let (text, mode) =
            text_and_mode(path).map_err(|source| AdminTokensError::Read { path: path.to_owned(), source })?;
        // A file that its group can read is not reported: a service often reads its secrets through a group.
        let warning = (mode & 0o004 != 0).then(|| {
            format!("every user of this machine can read the admin tokens; try: chmod 600 {}", path.display())
        });
        Ok(Self { tokens: tokens_in(&text, path)?, warning })
    }

    /// The token that equals `presented`. `None` if no token does. Compares with all tokens in constant time, so that
    /// the time does not tell how much of a token was right.
    #[must_use]
    pub fn holder_of(&self, presented: &str) -> Option<&AdminToken> {
        // Hashes have the same length. A comparison of the texts would end at once if the lengths differ, and so tell
        // the length of a token.
        let presented = Sha256::digest(presented);
        self.tokens.iter().fold(None, |holder, token| {
            let is_equal = Sha256::digest(token.token.expose()).as_slice().ct_eq(presented.as_slice());
            if is_equal.into() { Some(token) } else { holder }
        })
    }
}

/// Text and permissions of a file, which is opened once, so that both are of the same file even if it is replaced.
fn text_and_mode(path: &Path) -> io::Result<(String, u32)> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, file.metadata()?.permissions().mode()))
}

/// Parses the lines of a file. `path` is for errors.
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

/// Splits `label=token`. If nothing but `=` or `==` follows the text, these are the Base64 padding of a token without
/// label.
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
