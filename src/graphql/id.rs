//! Global ids: what kind of thing, and its number, not meant to be read.

use async_graphql::ID;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::error::ApiError;
use crate::scoring::MovieId;
use crate::store::{PersonId, ProfileId};

/// What an id may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeId {
    Movie(MovieId),
    Person(PersonId),
    Profile(ProfileId),
}

impl NodeId {
    /// Reads an id; none where it names nothing of ours.
    pub(super) fn read(id: &ID) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?).ok()?;
        let (kind, number) = text.split_once(':')?;
        let number = number.parse().ok()?;
        match kind {
            "Movie" => Some(Self::Movie(MovieId(number))),
            "Person" => Some(Self::Person(PersonId(number))),
            "Profile" => Some(Self::Profile(ProfileId(number))),
            _ => None,
        }
    }

    /// Reads the id of a movie given in an argument.
    pub(super) fn movie(id: &ID, field: &str) -> Result<MovieId, ApiError> {
        match Self::read(id) {
            Some(Self::Movie(id)) => Ok(id),
            _ => Err(ApiError::bad_input(field, "is not the id of a movie")),
        }
    }

    /// Reads the id of a profile given in an argument.
    pub(super) fn profile(id: &ID, field: &str) -> Result<ProfileId, ApiError> {
        match Self::read(id) {
            Some(Self::Profile(id)) => Ok(id),
            _ => Err(ApiError::bad_input(field, "is not the id of a profile")),
        }
    }
}

impl From<NodeId> for ID {
    fn from(id: NodeId) -> Self {
        let text = match id {
            NodeId::Movie(id) => format!("Movie:{id}"),
            NodeId::Person(id) => format!("Person:{}", id.0),
            NodeId::Profile(id) => format!("Profile:{}", id.0),
        };
        opaque(text.as_bytes())
    }
}

/// Bytes as an id.
pub(super) fn opaque(bytes: &[u8]) -> ID {
    ID(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let id = NodeId::Profile(ProfileId(7));
        assert_eq!(NodeId::read(&ID::from(id)), Some(id));
        for nonsense in ["", "7", "Movie:7", "%%", "TW92aWU6", "TW92aWU6eA"] {
            assert_eq!(NodeId::read(&ID::from(nonsense)), None, "{nonsense}");
        }
    }
}
