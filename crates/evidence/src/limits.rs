//! Every bound of this crate, with its arithmetic. Nothing here grows with what a peer or a file says.

/// Integers in records: 2^53 - 1, the last that every JSON reader holds exactly (RFC 8785, section 3.2.2.3).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Hashes in a complete tile, entries in a complete bundle (C2SP tlog-tiles).
pub const TILE_WIDTH: u64 = 256;

/// Bytes of one leaf entry: a bundle prefixes each with a big-endian `u16`. Our entries are about 300.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Bytes of one signed note. C2SP signed-note wants at least 16 signatures read; the largest known (post-quantum) are near 5 kB, 7 kB in base64:
/// 16 × 7 kB = 112 kB, and some text.
pub const NOTE_BYTES_MAX: usize = 131_072;

/// Signature lines of one note: the log, a rotated key, and witnesses. The specification's floor is 16.
pub const NOTE_SIGNATURES_MAX: usize = 64;

/// Bytes of a key name or origin; names are short URLs without a scheme.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Findings listed in one report; a damaged log can have as many as it has records, and the first ones are what helps.
pub const FINDINGS_MAX: usize = 1_000;

/// Calls open at once that a check holds: about 1 KiB each, so at most 256 MiB. A gateway holds thousands open at most; the rest are allows without an intent,
/// which only a crash between the two leaves.
pub const OPEN_CALLS_MAX: usize = 262_144;

/// Bytes of one filter: a screenful; the longest term of the language is under 100.
pub const FILTER_BYTES_MAX: usize = 4_096;

/// `not` and `(` within each other in one filter; each takes one call on the stack, of at most 1 KiB.
pub const FILTER_DEPTH_MAX: usize = 64;

/// `call(...)` and the like in one filter; each takes one pass over the index and one bit for each call, run or approval.
pub const FILTER_JOINS_MAX: usize = 8;

/// Exceptions that are followed through their lives. Each keeps about 500 bytes: 500 MB at most; a gateway opens some 50,000 a day at the very most.
pub const EXCEPTIONS_MAX: usize = 1_000_000;

/// Approvals that are followed through their lives. Each keeps about 2 KiB: 2 GB at most, where ten a minute are asked for five months.
pub const APPROVALS_MAX: usize = 1_000_000;

/// The longest name of a ticket: an address of an issue tracker.
pub const TICKET_BYTES_MAX: usize = 512;

/// How often people are reminded of one approval: a day of four an hour.
pub const REMINDERS_MAX: u32 = 96;

/// Uses of approvals that are followed to their outcomes. Each keeps about 150 bytes: 300 MB at most.
pub const USES_MAX: usize = 2_000_000;

/// Tools whose accepted definitions are followed. Each keeps about 300 bytes: 30 MB at most; a gateway knows some 20,000 at the very most.
pub const PINS_MAX: usize = 100_000;

/// How long after the end of an endorsement a decision may still go by it, because both happened at once: what a busy machine puts between a look at the clock and at the book. In
/// microseconds.
pub const ENDORSED_LATE_US: i64 = 10_000_000;

/// Hashes in one inclusion proof: the height of a tree of 2^64 leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// Bytes of one record in a bundle: what a ledger takes at most (256 KiB, and 4 KiB for its own), twice.
pub const BUNDLE_RECORD_BYTES_MAX: usize = 520 * 1024;

/// Bytes of a bundle's manifest: some 150 for each file, of which a log of a hundred million records has 800,000.
pub const MANIFEST_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes of one tile: 256 entries with their lengths.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * (ENTRY_BYTES_MAX + 2);

/// Open calls and pauses that a manifest lists; all are counted. 10,000 × 300 bytes = 3 MB.
pub const LISTED_MAX: usize = 10_000;

/// Records beside the selected ones that a bundle holds: keys with which people signed, and links of files. 100,000 × 1 KiB = 100 MB.
pub const BUNDLE_CONTEXT_MAX: usize = 100_000;

/// Proof files of a bundle; the tiles in it prove all records, these are for tools that read one. 1,000 × 1 KiB = 1 MB.
pub const BUNDLE_PROOFS_MAX: u64 = 1_000;

/// Hash tiles of the lowest level up to which a bundle has all of them, so that every older checkpoint can be compared: 4,096 × 8 KiB = 32 MiB, of a million records.
pub const BUNDLE_LEAF_TILES_MAX: u64 = 4_096;

/// Witnesses of one log: a note has at most 64 signatures, of which the log, its next key and others need some.
pub const WITNESSES_MAX: usize = 16;

/// Hashes in one consistency proof on its way to a witness (C2SP tlog-witness): the height of a tree of 2^63 leaves.
pub const WITNESS_PROOF_HASHES_MAX: usize = 63;

/// Changes of a log's key: one a month for twenty years. Each keeps some 1 KiB.
pub const HANDOVERS_MAX: usize = 256;
