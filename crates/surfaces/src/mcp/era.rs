//! What differs between revisions of the protocol, behind one trait, so that a session does not know its year.

/// A family of protocol revisions that share a handshake and a lifetime.
pub trait Era: Send + Sync {
    /// Whether `revision` belongs to this era.
    fn speaks(&self, revision: &str) -> bool;

    /// The revision offered to an upstream when the client asks for one that this era does not speak.
    fn preferred(&self) -> &'static str;

    /// The request that opens a session.
    fn opening(&self) -> &'static str;
}

/// The revisions with an `initialize` handshake and sessions.
#[derive(Clone, Copy, Debug)]
pub struct Handshake;

impl Era for Handshake {
    fn speaks(&self, revision: &str) -> bool {
        // The message shapes that a session looks at are the same in both.
        matches!(revision, "2025-11-25" | "2025-06-18")
    }

    fn preferred(&self) -> &'static str {
        "2025-11-25"
    }

    fn opening(&self) -> &'static str {
        "initialize"
    }
}
