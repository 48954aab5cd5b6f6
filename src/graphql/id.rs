//! Global IDs: type and number of an object, opaque to clients.

use async_graphql::ID;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::error::ApiError;
use crate::scoring::MovieId;
use crate::store::{PersonId, ProfileId};

/// The objects that a global ID can identify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeId {
    Movie(MovieId),
    Person(PersonId),
    Profile(ProfileId),
    /// A movie, and the text of what ranks it.
    Prediction(MovieId, String),
}

impl NodeId {
    /// Decodes an ID; `None` if it is not a global ID of this service.
    pub(super) fn read(id: &ID) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?).ok()?;
        let (kind, rest) = text.split_once(':')?;
        if kind == "Prediction" {
            let (movie, ranking) = rest.split_once(':')?;
            return Some(Self::Prediction(MovieId(movie.parse().ok()?), ranking.to_owned()));
        }
        let number = rest.parse().ok()?;
        match kind {
            "Movie" => Some(Self::Movie(MovieId(number))),
            "Person" => Some(Self::Person(PersonId(number))),
            "Profile" => Some(Self::Profile(ProfileId(number))),
            _ => None,
        }
    }

    /// Decodes the movie ID in the argument `field`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not the ID of a movie.
    pub(super) fn movie(id: &ID, field: &str) -> Result<MovieId, ApiError> {
        match Self::read(id) {
            Some(Self::Movie(id)) => Ok(id),
            _ => Err(ApiError::bad_input(field, "is not the global ID of a movie (`Movie.id`)")),
        }
    }

    /// Decodes the ID of a person in the argument `field`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not the ID of a person.
    pub(super) fn person(id: &ID, field: &str) -> Result<PersonId, ApiError> {
        match Self::read(id) {
            Some(Self::Person(id)) => Ok(id),
            _ => Err(ApiError::bad_input(field, "is not the global ID of a person (`Person.id`)")),
        }
    }

    /// Decodes the profile ID in the argument `field`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not the ID of a profile.
    pub(super) fn profile(id: &ID, field: &str) -> Result<ProfileId, ApiError> {
        match Self::read(id) {
            Some(Self::Profile(id)) => Ok(id),
            _ => Err(ApiError::bad_input(field, "is not the global ID of a profile (`Profile.id`)")),
        }
    }
}

impl From<NodeId> for ID {
    fn from(id: NodeId) -> Self {
        let text = match id {
            NodeId::Movie(id) => format!("Movie:{id}"),
            NodeId::Person(id) => format!("Person:{}", id.0),
            NodeId::Profile(id) => format!("Profile:{}", id.0),
            NodeId::Prediction(id, ranking) => format!("Prediction:{id}:{ranking}"),
        };
        opaque(text.as_bytes())
    }
}

/// Encodes bytes as an opaque ID.
pub(super) fn opaque(bytes: &[u8]) -> ID {
    ID(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_malformed_ids_are_rejected() {
        for id in [NodeId::Profile(ProfileId(7)), NodeId::Prediction(MovieId(7), "a list: 1".to_owned())] {
            assert_eq!(NodeId::read(&ID::from(id.clone())), Some(id));
        }
        for malformed in ["", "7", "Movie:7", "%%", "TW92aWU6", "TW92aWU6eA", "UHJlZGljdGlvbjo3"] {
            assert_eq!(NodeId::read(&ID::from(malformed)), None, "{malformed}");
        }
    }
}
