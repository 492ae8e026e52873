//! Every bound of the console, with its arithmetic.

use std::time::Duration;

/// The largest body of a request: a text of [`TEXT_CHARS_MAX`] characters, twelve bytes each where they are escaped as pairs, is 192 KiB; a reason, digests and a signature are less than 64 KiB.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// How long a request's body may take.
pub const BODY_WAIT: Duration = Duration::from_secs(10);

/// How long a challenge is good: a person types a passphrase in between.
pub const CHALLENGE_US: i64 = 2 * 60 * 1_000_000;

/// Challenges that were used and could still be sent again. A challenge itself costs nothing, and one that was used needed a good signature: 10,000 logins in two minutes
/// are more than there are persons. 100 bytes each: 1 MB. Beyond it nobody logs in until some have lapsed.
pub const USED_CHALLENGES_MAX: usize = 10_000;

/// How long a session lasts: a working day.
pub const SESSION_US: i64 = 8 * 60 * 60 * 1_000_000;

/// Open sessions. 300 bytes each: 3 MB. Beyond it nobody logs in.
pub const SESSIONS_MAX: usize = 10_000;

/// Open sessions of one person: devices and commands at work. One more ends the oldest.
pub const SESSIONS_PER_PERSON_MAX: usize = 16;

/// Streams of events that one session may have open: the tabs of a browser.
pub const STREAMS_PER_SESSION_MAX: usize = 4;

/// Streams of events that may be open. 8 KiB each: 8 MB.
pub const STREAMS_MAX: usize = 1_000;

/// How often a stream of events looks whether its session still stands.
pub const STREAM_LOOKS_EVERY: Duration = Duration::from_secs(1);

/// How often a stream says that it lives: proxies cut what is silent for a minute.
pub const STREAM_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Streams of records that may be open. Nine batches of at most 128 KiB each: 72 MiB at the very most, and 4 MB where records are small.
pub const FOLLOWERS_MAX: usize = 64;

/// Batches of records that wait for the reader of one stream; then the ledger is not read on for it.
pub const STREAM_BATCHES_WAITING: usize = 8;

/// How long a stream lets records gather before it looks for them: what many calls leave goes out together.
pub const STREAM_GATHER: Duration = Duration::from_millis(50);

/// How long the reader of a stream may take nothing while batches wait. It comes back with its place.
pub const STREAM_READ_WAIT: Duration = Duration::from_secs(30);

/// Pages of records that are looked for at a time: each may read the whole log on a thread of its own.
pub const LOOKUPS_MAX: usize = 4;

/// How long a page waits for others to be found.
pub const LOOKUP_WAIT: Duration = Duration::from_secs(10);

/// Approvals or records on one page where nothing else is asked for.
pub const PAGE: u16 = 50;

/// Approvals or records on one page, at most.
pub const PAGE_MAX: u16 = 200;

/// Records of one approval that may be skipped: whoever asks, reminds and answers leaves some dozens.
pub const RECORDS_SKIPPED_MAX: u32 = 100_000;

/// Characters of a reason: 4 bytes each at most, which the evidence takes.
pub const REASON_CHARS_MAX: usize = governance::limits::SENTENCE_BYTES_MAX / 4;

/// Characters of a ticket: 4 bytes each at most, which the evidence takes.
pub const TICKET_CHARS_MAX: usize = evidence::limits::TICKET_BYTES_MAX / 4;

/// Characters of the arguments that a person proposes, and of a standing grant; the description says so too.
pub const TEXT_CHARS_MAX: usize = 16_384;
