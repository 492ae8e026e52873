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
    /// No handshake and no sessions: every request says what its client is and speaks.
    V2026_07_28,
}

/// How both sides know what the other speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// A handshake opens a session, and settles it.
    Handshake,
    /// Every request says it, and stands alone.
    Stateless,
}

/// The request that opens a session.
pub const OPENING: &str = "initialize";

impl Revision {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// What is offered to an upstream when the client asks for a revision that is not followed here.
    pub const PREFERRED: Self = Self::V2025_11_25;

    /// What a request over HTTP speaks that does not say (revision 2025-06-18, Transports, Protocol Version Header).
    pub const UNSAID: Self = Self::V2025_03_26;

    /// Reads a revision's name; `None` for what is not followed here.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Reads the name of a revision with this era's way of agreeing.
    #[must_use]
    pub fn parse_of(era: Era, name: &str) -> Option<Self> {
        Self::parse(name).filter(|revision| revision.era() == era)
    }

    /// How it is agreed on.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Handshake,
            Self::V2026_07_28 => Era::Stateless,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether a message may be an array of messages.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        match self {
            Self::V2025_03_26 => true,
            Self::V2024_11_05 | Self::V2025_06_18 | Self::V2025_11_25 | Self::V2026_07_28 => false,
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
            Self::V2025_06_18 | Self::V2025_11_25 | Self::V2026_07_28 => true,
        }
    }

    /// Whether a call may become a task.
    #[must_use]
    pub const fn has_tasks(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2026_07_28 => false,
            Self::V2025_11_25 => true,
        }
    }

    /// Whether clients understand an event that has only a number. Older ones take it for a broken message.
    #[must_use]
    pub const fn has_priming_events(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2026_07_28 => false,
            Self::V2025_11_25 => true,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of all that are agreed on in this era's way, for those who ask for another.
#[must_use]
pub fn spoken(era: Era) -> Vec<&'static str> {
    Revision::ALL.into_iter().filter(|revision| revision.era() == era).map(Revision::name).collect()
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
