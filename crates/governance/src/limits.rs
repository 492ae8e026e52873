//! Every bound of the pure path, with its arithmetic.

/// The largest result that is passed on. Agents' context windows hold about 4 MiB of text; pictures and files in results are several times that.
pub const RESULT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The largest content that is kept, where an organisation has that kept: what an agent's context window holds. A larger one is recorded as a digest alone.
pub const CONTENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest mission file. [`MISSION_RULES_MAX`] rules of 80 bytes are 400 KiB; the rest is comments.
pub const MISSION_BYTES_MAX: usize = 1024 * 1024;

/// The largest file with cases of a mission: [`CASES_MAX`] cases of 500 bytes.
pub const CASES_BYTES_MAX: usize = 1024 * 1024;

/// The most cases in one file. A debug build decides one in 0.1 ms.
pub const CASES_MAX: usize = 2_000;

/// The most rules in one mission. A debug build compiles one in 0.5 ms, so that the largest mission loads in 2.5 s even there; five hundred tools with nine
/// argument rules each fit.
pub const MISSION_RULES_MAX: usize = 5_000;

/// The most places at which two missions are compared for whose word counts, each a look at all lines about trust: 60 tools with 60 fields. Beyond it, that something
/// differs is all that is told, and counts as wider.
pub const TRUST_PLACES_MAX: usize = 4_096;

/// The most ways in which a gate can be satisfied: each answer tries them all, some microseconds each.
pub const GATE_ALTERNATIVES_MAX: usize = 64;

/// How many days after a mission is put in force an exception of a line about data may end: a quarter of a year. What lasts longer belongs in the line.
pub const EXCEPT_DAYS_MAX: u32 = 90;

/// An exception that ends sooner is told of when the mission is checked: a week to prolong it.
pub const EXCEPT_SOON_DAYS: u32 = 7;

/// The largest value that people endorse: an address or path, not a text. Larger ones are not kept of what a run has seen, either.
pub const ENDORSED_BYTES_MAX: usize = SEEN_LEAF_BYTES_MAX;

/// The largest file of persons: [`PERSONS_MAX`] persons of 250 bytes.
pub const PEOPLE_BYTES_MAX: usize = 1024 * 1024;

/// The most persons. Each question looks at all of them, a microsecond each.
pub const PERSONS_MAX: usize = 4_096;

/// The most delegations in a file of persons: each is compared with all others.
pub const DELEGATIONS_MAX: usize = 1_024;

/// The longest delegation: a year.
pub const DELEGATION_US_MAX: i64 = 366 * 86_400 * 1_000_000;

/// The most persons of one group that a gate may need.
pub const GATE_NEED_MAX: u32 = 64;

/// The longest that people may have to answer, and that an approval may be used: thirty days.
pub const GATE_SECONDS_MAX: u64 = 30 * 86_400;

/// How long an automation has to report what became of a step where its mission says nothing: an hour. Then it is closed as unknown.
pub const REPORT_SECONDS: u64 = 3_600;

/// The longest that a mission may give it: a week, in which a step is open and nobody knows what became of it.
pub const REPORT_SECONDS_MAX: u64 = 7 * 86_400;

/// How long a call is held for an answer at most: clients give up after 60 seconds, and some time goes to what comes before and after.
pub const HOLD_SECONDS_MAX: u64 = 45;

/// The most stages of a gate.
pub const GATE_STAGES_MAX: usize = 8;

/// The longest arguments that a person proposes instead of those of a call: an agent's model reads them, and 64 KiB are some 16,000 tokens.
pub const EDIT_BYTES_MAX: usize = 64 * 1024;

/// The longest that a standing grant may stand: a year, after which somebody looks at it again.
pub const STANDING_SECONDS_MAX: u64 = 366 * 86_400;

/// The most executions that a standing grant may cover. Each keeps its number: 100 bytes, 1 MB at most.
pub const STANDING_USES_MAX: u32 = 10_000;

/// The most executions that one approval may cover.
pub const GATE_USES_MAX: u32 = 1_000;

/// The most elements of a list argument under a rule. Each costs one policy evaluation, 16 microseconds in a debug build: 256 are 4 ms.
pub const LIST_ELEMENTS_MAX: usize = 256;

/// The longest text of a facet, and so of a value that a rule looks at. Paths end at 4,096 bytes on Linux, URIs in practice at 8 KiB.
pub const FACET_BYTES_MAX: usize = 8 * 1024;

/// The largest result that is searched for the fields that `from` names. Each level of nesting reads its bytes once more: 1 MiB takes some 10 ms.
pub const RETURNED_BYTES_MAX: usize = 1024 * 1024;

/// How deep fields are searched for. Each level reads the bytes inside once more.
pub const RESULT_DEPTH_MAX: usize = 32;

/// The most values that are kept of one run, for `from`: 32 bytes each with what a table needs, 512 KiB.
pub const RETURNED_VALUES_MAX: usize = 16 * 1024;

/// The most arguments of a ruled tool, fields of arguments among them.
pub const ARGUMENTS_MAX: usize = 256;

/// How deep fields of arguments are ruled. Schemas of tools seldom go below three; each level costs a reading of its bytes.
pub const FIELDS_DEPTH_MAX: usize = 8;

/// How long an exception may stay open before it is overdue: one day, the shortest span in which an office answers.
pub const EXCEPTION_DUE_US: i64 = 24 * 60 * 60 * 1_000_000;

/// How long a mission may be only observed before somebody must say why: two weeks show what a workflow does at the end of a month or of a sprint.
pub const OBSERVE_DUE_US: i64 = 14 * 24 * 60 * 60 * 1_000_000;

/// The longest name of a tool, argument, prompt or agent. The protocol advises 128 characters for tools; twice that leaves room for other scripts.
pub const NAME_BYTES_MAX: usize = 256;

/// Windows of one mission's counters after which those that are over are forgotten: 100 counters in each of 100 runs. Each keeps about 200 bytes: 2 MB.
pub const BOOK_WINDOWS_MAX: usize = 10_000;

/// The longest goal, owner or reason of a mission: a page of text.
pub const SENTENCE_BYTES_MAX: usize = 4 * 1024;

/// The longest pattern of an argument: identifiers take some 30 bytes, a list of alternatives a few hundred.
pub const PATTERN_BYTES_MAX: usize = 512;

/// The memory of a compiled pattern: a thousand states of 60 bytes; 5,000 rules with the largest would be 320 MB, and the usual one takes 2 kB.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 64 * 1024;

/// The most entries of one list in a mission. Alternatives nest in the policy engine at some 500 bytes of stack each: 256 are 128 KiB of the 2 MiB of a thread.
pub const RULE_VALUES_MAX: usize = 256;

/// The most bytes of all facets of one call, which go into its decision record. 256 paths of the usual 100 bytes are a tenth of it.
pub const FACETS_BYTES_MAX: usize = 256 * 1024;

/// How much of a text is looked for findings at a time. What is held of a stream is at most twice that and what stands around it: 44 KiB. Room for one stretch without
/// escapes, its masks, and what was said of names and sentences is kept beside it: 150 KiB, and as much again for each further layer of escapes.
pub const DETECT_STRETCH_BYTES: usize = 16 * 1024;

/// How far behind a stretch names and words are seen that stand around what is in it: four times what any of them is looked back for.
pub const DETECT_BEHIND_BYTES: usize = 4 * 1024;

/// How far ahead of a stretch a candidate goes on that starts in it: a private key of 8,192 bits is 6.4 KiB. A longer one is judged by its start.
pub const DETECT_AHEAD_BYTES: usize = 8 * 1024;

/// How many layers of escapes and encodings are taken away. A copy that is encoded more often is not looked at.
pub const DETECT_DEPTH_MAX: usize = 3;

/// What the look at one stretch may cost: 64 and its bytes for each candidate, and the bytes of what is decoded. A stretch full of addresses has 2,000 candidates of
/// some 100 each, a twentieth of it; at its end 4 MiB take some milliseconds. Beyond it the scan is not complete.
pub const DETECT_WORK_MAX: usize = 4 * 1024 * 1024;

/// The most text that is taken out of one compressed run: four times a stretch. Of more, the start is looked at.
pub const DECODED_BYTES_MAX: usize = 64 * 1024;

/// The most hashes that are kept of one run, for the provenance of arguments: 20 bytes each, 2.7 MB with what a table needs. A long mail has 300 different words.
pub const SEEN_VALUES_MAX: usize = 65_536;

/// How many bytes of texts and names in one result, or of the arguments of one call, are looked at for provenance. A byte of prose takes some 20 ns, and 150 where all of it is trusted.
pub const SEEN_BYTES_MAX: usize = 1024 * 1024;

/// The longest value that can be trusted. What calls act on is shorter: paths and URLs of a few hundred bytes.
pub const SEEN_LEAF_BYTES_MAX: usize = 2 * 1024;

/// The longest identifier that may stand in groups: account numbers have up to 34 characters.
pub const SEEN_IDENTIFIER_CHARS_MAX: usize = 40;

/// The longest value that is compared with pieces that the agent sent. Its pieces are tried at every place: 2,000 hashes at worst.
pub const SEEN_PIECED_BYTES_MAX: usize = 64;

/// The most words of an initiator that are kept in their order: 50 bytes each, 400 KiB. The longest letters have 2,000.
pub const SEEN_INITIATOR_WORDS_MAX: usize = 8_192;

/// The most places where values of one run were seen, with their names: 100 bytes each.
pub const SEEN_SOURCES_MAX: usize = 4_096;

/// How many names of members stand in the name of a place.
pub const SEEN_SOURCE_NAMES_MAX: usize = 8;

/// The most links of one argument that are traced. With more of them one is taken to be unknown.
pub const SEEN_LINKS_MAX: usize = 256;

/// How many folders of a path are looked at, each by itself.
pub const SEEN_FOLDERS_MAX: usize = 16;

/// The largest file of own classes: [`OWN_KEYWORDS_MAX`] keywords of 50 bytes.
pub const CLASSES_BYTES_MAX: usize = 1024 * 1024;

/// The most own classes. Each pattern reads what is looked at once more, a microsecond for a KiB.
pub const OWN_CLASSES_MAX: usize = 128;

/// The most names of own classes that one process takes up over time, each kept for good: 200 bytes each, 800 KiB.
pub const OWN_NAMES_MAX: usize = 4_096;

/// The longest name of an own class.
pub const OWN_NAME_BYTES_MAX: usize = 48;

/// The most keywords and words that must stand near, of all own classes: 150 bytes each, 3 MB.
pub const OWN_KEYWORDS_MAX: usize = 20_000;

/// The longest text that a pattern of an own class may match. It is searched for at every place of a stretch: a pattern that is hard to search for reads so much at each.
pub const OWN_MATCH_BYTES_MAX: usize = 1024;

/// What a pattern of an own class may keep while it searches: 128 of them are 32 MiB at worst in each thread that searches.
pub const OWN_PATTERN_CACHE_BYTES_MAX: usize = 256 * 1024;

/// The longest keyword and value of an index, in bytes of its letters and digits.
pub const OWN_VALUE_BYTES_MAX: usize = 120;

/// How near words must stand, and the values of one row of each other, in bytes.
pub const OWN_NEAR_BYTES: usize = 300;

/// The most values of one index: 14.3 bytes each with their rows, 240 MB, and 9.3 bytes each without, 156 MB; twice that while it is made.
pub const INDEX_VALUES_MAX: usize = 1 << 24;

/// The largest index: [`INDEX_VALUES_MAX`] values of 8 bytes, with 4 for the row, 1 for the column, 10 bits in the filter and a header.
pub const INDEX_BYTES_MAX: usize = INDEX_VALUES_MAX * 15 + 64 * 1024;

/// The most columns of an index.
pub const INDEX_COLUMNS_MAX: usize = 16;

/// The most rows in which one value of an index may stand. What stands in more of them tells no row from others, and is left out.
pub const INDEX_ROWS_OF_VALUE_MAX: usize = 256;

/// The longest value that becomes a token, in bytes: the token has eight fifths of it and some 50 more. Passwords and account numbers have less than 100; keys of several lines
/// are spelt with escapes and do not become tokens anyway.
pub const TOKEN_VALUE_BYTES_MAX: usize = 256;

/// The longest token, with its class and kind, in bytes: 436 for the longest value, and the names.
pub const TOKEN_BYTES_MAX: usize = 512;
