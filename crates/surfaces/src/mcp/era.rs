//! The revisions of the protocol, parsed once, and what differs between them, so that nothing else compares their names.
//!
//! A session settles on one revision: the client's wish is offered to the upstream, whose answer decides ([`super::session`]). What a part needs to know of it is a
//! fact here; message shapes that a session looks at are the same in all of them.

use std::fmt;

use super::codec::batch::Arrays;

/// A revision that the gateway follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The first one. Its own HTTP transport (HTTP+SSE) is not offered.
    V2024_11_05,
    /// Streamable HTTP and batches.
    V2025_03_26,
    /// No batches; the revision is a header of each request.
    V2025_06_18,
    /// Tasks, and streams that can be resumed before their first message.
    V2025_11_25,
}

/// The request that opens a session.
pub const OPENING: &str = "initialize";

impl Revision {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// What is offered to an upstream when the client asks for a revision that is not followed here.
    pub const PREFERRED: Self = Self::V2025_11_25;

    /// What a request over HTTP speaks that does not say (revision 2025-06-18, Transports, Protocol Version Header).
    pub const UNSAID: Self = Self::V2025_03_26;

    /// Reads a revision's name; `None` for what is not followed here.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// Whether a message may be an array of messages.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        match self {
            Self::V2025_03_26 => true,
            Self::V2024_11_05 | Self::V2025_06_18 | Self::V2025_11_25 => false,
        }
    }

    /// What becomes of an array of messages.
    #[must_use]
    pub const fn arrays(self) -> Arrays {
        if self.has_batches() { Arrays::Taken } else { Arrays::Refused }
    }

    /// Whether every request over HTTP after the handshake must name the revision.
    #[must_use]
    pub const fn needs_header(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 => false,
            Self::V2025_06_18 | Self::V2025_11_25 => true,
        }
    }

    /// Whether a call may become a task.
    #[must_use]
    pub const fn has_tasks(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 => false,
            Self::V2025_11_25 => true,
        }
    }

    /// Whether clients understand an event that has only a number. Older ones take it for a broken message.
    #[must_use]
    pub const fn has_priming_events(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 => false,
            Self::V2025_11_25 => true,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of all that are followed, for those who ask for another.
#[must_use]
pub fn spoken() -> String {
    Revision::ALL.map(Revision::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_read_by_its_exact_name_and_in_order() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.name()), Some(revision));
        }
        for name in ["", "2025-11-25 ", "2025-11-5", "2024-10-07", "DRAFT-2025-v2", "2026-07-27"] {
            assert_eq!(Revision::parse(name), None, "{name}");
        }
        assert!(Revision::ALL.is_sorted());
        assert!(Revision::ALL.map(Revision::name).is_sorted());
    }
}
