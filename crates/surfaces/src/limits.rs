//! Every bound that a surface puts on what it reads, with its arithmetic and what happens when it is reached.
//!
//! These are the values in force where nothing else is configured.

/// Largest JSON-RPC message that an agent may send: 4 MiB, about a thousand pages of arguments. Beyond it the message
/// is refused, and on a stream the reader goes on with the next one.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 << 20;

/// Largest JSON-RPC message that an upstream may send: 32 MiB, a 24 MB file once it is base64 (4/3). Refused beyond.
pub const RESPONSE_BODY_BYTES_MAX: usize = 32 << 20;

/// Deepest nesting of arrays and objects; the outermost value counts as one. Common parsers stop at 128 (`serde_json`)
/// to 1,000; half of the smallest means that whatever we let through, everybody behind us can read. Refused beyond.
pub const JSON_DEPTH_MAX: usize = 64;

/// Members of all objects that are open at one point of a message. The strict reader keeps 24 bytes for each to find
/// duplicate keys: 24 x 262,144 = 6 MiB at most while one message is read. Refused beyond.
pub const JSON_OPEN_MEMBERS_MAX: usize = 1 << 18;

/// Longest number literal. A binary64 never needs more than 767 significant digits, and Python refuses integers of more
/// than 4,300; longer ones exist only to make two readers disagree. Refused beyond.
pub const JSON_NUMBER_BYTES_MAX: usize = 1024;

/// Longest JSON-RPC id or progress token, as written, quotes included. UUIDs need 38; ids are kept for every call in
/// flight and written to records. Refused beyond.
pub const RPC_ID_BYTES_MAX: usize = 512;

/// Longest JSON-RPC method name, decoded. The longest in the protocol is below 50. Refused beyond.
pub const RPC_METHOD_BYTES_MAX: usize = 256;

/// Longest id of a server-sent event that is kept: it comes back as the `Last-Event-ID` header, and header fields of
/// 4 KiB are the least that every HTTP server takes. A longer id is ignored: the event counts, resuming at it does not.
pub const SSE_ID_BYTES_MAX: usize = 4 << 10;

/// What the framing of a server-sent event may add to the message inside: `data: ` before each line of a message that
/// was pretty-printed, one part in sixteen of the largest response. An event beyond the sum is dropped and reported.
pub const SSE_EVENT_BYTES_MAX: usize = RESPONSE_BODY_BYTES_MAX + RESPONSE_BODY_BYTES_MAX / 16;

/// The bounds under which one JSON text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest text in bytes; never more than [`ReadLimits::BYTES_CEILING`], whatever is set here.
    pub bytes_max: usize,
    /// Deepest nesting; the outermost value counts as one.
    pub depth_max: usize,
    /// Most members of all objects open at one point.
    pub open_members_max: usize,
}

impl ReadLimits {
    /// Positions inside a text are kept in 32 bits; 1 GiB leaves room for arithmetic on them.
    pub const BYTES_CEILING: usize = 1 << 30;

    /// What an agent sends.
    pub const REQUEST: Self = Self {
        bytes_max: REQUEST_BODY_BYTES_MAX,
        depth_max: JSON_DEPTH_MAX,
        open_members_max: JSON_OPEN_MEMBERS_MAX,
    };

    /// What an upstream sends.
    pub const RESPONSE: Self = Self {
        bytes_max: RESPONSE_BODY_BYTES_MAX,
        ..Self::REQUEST
    };
}

/// Requests of one session that are unanswered at one time. Clients run a handful at once; each keeps its arguments, up to 4 MiB, until it is answered. One
/// more is answered with an error.
pub const IN_FLIGHT_MAX: usize = 256;

/// Requests of an upstream to the agent's client that are unanswered at one time. A person answers one at a time. One more is answered with an error.
pub const ASKED_MAX: usize = 16;

/// Characters of a client's name and version that are recorded.
pub const CLIENT_NAME_BYTES_MAX: usize = 128;
