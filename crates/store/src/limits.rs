//! Every bound of the ledger, with its arithmetic and with what happens when it is reached.

/// The block at the start of a segment that says whose it is: one page, so that no group shares its page.
pub const SEGMENT_HEADER_BYTES: u64 = 4_096;

/// Size of a segment file. A governed call writes about 2.7 kB (decision 1.1, intent 0.8, outcome 0.8), so one holds some 6,000 calls: at 10,000 calls a second
/// that is a new file every 0.6 s, which the preparer can write (27 MB/s), and at rest a ledger costs no more than two of them.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// The smallest segment: the header and a few groups; tests use it to cross segments often.
pub const SEGMENT_BYTES_MIN: u64 = 64 * 1024;

/// The largest segment: offsets in a segment fit 32 bits with room, and recovery reads the last one whole in a few seconds.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The next segment is prepared once this part of the open one is full: a quarter is some 1,500 calls, which most sessions never reach; the other three quarters
/// last 75 ms at 60,000 calls a second, the most that one writer was seen to take, and writing 16 MiB of zeros takes less on anything but a slow disk.
pub const SEGMENT_PREPARE_PART: u64 = 4;

/// Once this part of the open segment is full, the next one is prepared without pauses: half of it, which lasts 3,000 calls (50 ms at 60,000 calls a second).
pub const SEGMENT_HURRY_PART: u64 = 2;

/// Until then it is written and synced in parts of this size, with a pause after each as long as the part took: a group that is written meanwhile waits for
/// 512 KiB (some 0.5 ms on a disk that takes 1 GB/s) instead of for the whole file.
pub const SEGMENT_PART_BYTES: usize = 512 * 1024;

/// A record of more bytes is refused: arguments and results enter records as digests, so what is long is names and reasons. 256 KiB is some 300 usual records.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// What the ledger's own records may be longer: the outcome that closes a call of a dead process repeats the longest intent and adds some 50 bytes to it.
pub const RECORD_BYTES_SPARE: usize = 4 * 1024;

/// Drafts in one append. A call needs at most three at a time; recovery and imports send more. 256 × 1 kB stays far below [`GROUP_BYTES_MAX`].
pub const APPEND_DRAFTS_MAX: usize = 256;

/// The largest group, and so the most that can be torn by a crash. An append that alone needs more is refused.
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Gathering stops here: 256 KiB is some 95 calls, written in less time than one sync takes, so waiting longer would add delay and no throughput.
pub const GROUP_BYTES_FULL: usize = 256 * 1024;

/// How long records that nobody waits for may stay in the queue before they are written by themselves. A client that goes on at once begins its next call 0.1 to
/// 0.5 ms after an answer, and what ended the last call is then written with it, in one sync instead of two; 2 ms is four times that, and below what a sync
/// takes on a disk that is not idle, so a crash leaves hardly more calls open than without it.
pub const LINGER_MS: u64 = 2;

/// When the last group answered at least so many appends, the writer lets more of them come before it writes the next one: at 64 calls at once a group has some 8,
/// at 8 calls at once 2 or 3, which must not wait.
pub const GATHER_APPENDS_MIN: usize = 6;

/// How long it lets them come: about the time of one sync, so that a call waits for two syncs at most as it does without, and half as many syncs are made.
pub const GATHER_US: u64 = 150;

/// Appends that may wait for the writer; as many again may be in its hands. At 128 concurrent calls in each of 16 sessions with one append in flight each it is not reached; beyond it callers wait.
pub const QUEUE_APPENDS_DEFAULT: usize = 2_048;

/// Bytes of random numbers fetched at a time: a record takes 26 (16 salt, 10 identity), so one fetch serves some 150 records.
pub const ENTROPY_BLOCK_BYTES: usize = 4_096;

/// Longest name of an emitter: `cs-` and 16 hexadecimal digits are 19.
pub const EMITTER_BYTES_MAX: usize = 64;

/// Longest origin: `countersign.local/` and the emitter are 37.
pub const ORIGIN_BYTES_MAX: usize = 128;

/// How much a scan reads at a time.
pub const SCAN_BYTES: usize = 256 * 1024;

/// How long the integrator gathers before it writes index rows and tiles: the index trails by little more.
pub const INTEGRATE_EVERY_MS: u64 = 50;

/// Records in one index transaction: at 5 µs a call some 50 ms of work.
pub const INTEGRATE_RECORDS_MAX: usize = 16_384;

/// How often a checkpoint is signed while records arrive.
pub const CHECKPOINT_EVERY_MS: u64 = 1_000;

/// After so many records the tiles are synced and the tree's place is noted: opening after a power cut then integrates at most so many again (64 Ki × 2 µs = 0.2 s).
pub const TREE_NOTE_RECORDS: u64 = 64 * 1024;

/// How long the operator has to look into a call whose outcome is unknown: one day.
pub const UNKNOWN_OUTCOME_DUE_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Records in one block of the index's postings: a set of them has at most 512 bytes, so that a row stays in its page, and 10 million records are 2,442 blocks, each some
/// 2 µs to look up.
pub const INDEX_BLOCK_RECORDS: u64 = 4_096;

/// Records whose places the index keeps in one row: 12 bytes each, 3 KiB, less than a page; it is what one batch of few records writes again.
pub const INDEX_CHUNK_RECORDS: u64 = 256;

/// Longest word of a sentence that the index has; a sentence with a longer one is read to be sure.
pub const INDEX_WORD_BYTES_MAX: usize = 64;

/// Values of fields whose numbers the writer of the index keeps in memory, some 100 bytes each: 6 MB at most; then it begins anew.
pub const INDEX_VALUES_KEPT_MAX: usize = 65_536;

/// Values of one field that are looked up one by one in each block; beyond that all of a block's are looked through.
pub const INDEX_LOOKUPS_MAX: usize = 64;

/// Groups in one count: some 100 bytes each, 100 MB at most. Beyond it a count is refused; a narrower filter or another field helps.
pub const COUNT_GROUPS_MAX: usize = 1_000_000;

/// Records that one SQL statement reads at most: at 10 µs each under a minute, at some 500 bytes a row 1 GB of temporary space.
pub const SQL_RECORDS_MAX: usize = 2_000_000;

/// Steps of SQLite's machine between two looks at the clock: well under a millisecond.
pub const SQL_STEPS: i32 = 10_000;

/// Files of one bundle: two tiles for each 256 records, so two million are a log of 200 million records; each keeps about 100 bytes while it is read.
pub const BUNDLE_FILES_MAX: usize = 2_000_000;

/// The file with the public keys of witnesses: at most 16 lines, each a name of 255 bytes and some 60 more.
pub const WITNESS_KEYS_BYTES_MAX: usize = 8 * 1024;

/// Bytes of groups whose records are checked side by side: some 4,000 records, 30 ms of work for each of two processors, beside which starting threads is nothing.
pub const CHECK_BYTES: usize = 4 * 1024 * 1024;

/// Files of one backup, each some 200 bytes in its list: a home with the content of 300,000 calls has as many.
pub const BACKUP_FILES_MAX: usize = 1_000_000;

/// The longest list of a backup.
pub const BACKUP_LIST_BYTES_MAX: u64 = 512 * 1024 * 1024;
