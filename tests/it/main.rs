//! What a client or an operator sees.
