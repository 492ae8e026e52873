//! The bytes of a group: one frame around the records that became durable together. Pure.
//!
//! Frame: magic, length of what follows the header, first sequence number, count, CRC-32 of all of it; then for each record its length, its 16 bytes of salt and its
//! canonical bytes. Integers are little-endian. The CRC finds torn writes and decay; what proves content is the Merkle tree.

use evidence::leaf::Salt;
use evidence::record::{self, Draft, Place};

use super::flip::FlipAt;
use crate::limits::{GROUP_BYTES_MAX, RECORD_BYTES_MAX, RECORD_BYTES_SPARE};

/// Starts a frame. 0xC5 before an ASCII letter is not UTF-8 and 0x01 is not JSON, so no record can hold it.
const MAGIC: [u8; 4] = [0xC5, b'G', 0x01, b'1'];

/// Length of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 24;

/// Length of what precedes each record's bytes.
pub(crate) const ENTRY_HEADER_BYTES: usize = 20;

const SALT_BYTES: usize = 16;

/// A group while it is being written.
#[derive(Debug, Default)]
pub(crate) struct Group {
    bytes: Vec<u8>,
    first_seq: u64,
    count: u32,
}

/// A place in a group to which it can be taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    count: u32,
}

/// Why a record does not fit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("a record of {bytes} bytes; at most {bytes_max} are taken")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("write record: {0}")]
    Json(#[from] serde_json::Error),
}

impl Group {
    /// Empties the group; its memory is kept.
    pub(crate) fn start(&mut self, first_seq: u64) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
        self.first_seq = first_seq;
        self.count = 0;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count)
    }

    pub(crate) const fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), count: self.count }
    }

    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.count = mark.count;
    }

    /// Writes one record of at most `bytes_max`. On an error the caller rewinds.
    pub(crate) fn push(
        &mut self,
        draft: &Draft,
        place: Place<'_>,
        salt: &Salt,
        bytes_max: usize,
    ) -> Result<(), PushError> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(salt);
        record::write(draft, place, &mut self.bytes)?;
        let bytes = self.bytes.len() - at - ENTRY_HEADER_BYTES;
        if bytes > bytes_max {
            return Err(PushError::TooLong { bytes, bytes_max });
        }
        put(&mut self.bytes, at, &(bytes as u32).to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// The finished frame.
    pub(crate) fn seal(&mut self) -> &[u8] {
        let payload_bytes = (self.bytes.len() - FRAME_HEADER_BYTES) as u32;
        put(&mut self.bytes, 0, &MAGIC);
        put(&mut self.bytes, 4, &payload_bytes.to_le_bytes());
        put(&mut self.bytes, 8, &self.first_seq.to_le_bytes());
        put(&mut self.bytes, 16, &self.count.to_le_bytes());
        let crc = checksum(&self.bytes);
        put(&mut self.bytes, 20, &crc.to_le_bytes());
        &self.bytes
    }

    /// The frame as [`Self::seal`] left it.
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.bytes
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = bytes.get_mut(at..at + value.len()) {
        slot.copy_from_slice(value);
    }
}

/// The CRC of a whole frame, its own field taken out.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(frame.get(..20).unwrap_or_default());
    hasher.update(frame.get(FRAME_HEADER_BYTES..).unwrap_or_default());
    hasher.finalize()
}

/// A frame's header, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Length of the frame with its header.
    pub(crate) frame_bytes: usize,
    pub(crate) first_seq: u64,
    pub(crate) count: u32,
    crc: u32,
}

/// What is wrong with bytes that should be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// No frame starts here.
    #[error("no group starts here")]
    Magic,
    /// The length cannot be.
    #[error("the group says it has {bytes} bytes, which cannot be")]
    Length {
        /// The length found.
        bytes: u64,
    },
    /// The numbers do not continue.
    #[error("the group starts with record {found} where {want} must follow")]
    Sequence {
        /// The number that must follow.
        want: u64,
        /// The number found.
        found: u64,
    },
    /// The bytes changed after they were written, or were never all written.
    #[error("the group's checksum does not match its bytes")]
    Checksum,
    /// The checksum holds and the layout does not.
    #[error("the group's records do not fill it")]
    Layout,
}

/// What the first bytes of a place say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing has been written here.
    Zeros,
    Frame(FrameHeader),
}

/// Reads a frame's header. `bytes` may be shorter at the end of a segment.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Start, FrameFault> {
    let header = bytes.get(..FRAME_HEADER_BYTES).unwrap_or(bytes);
    if header.iter().all(|byte| *byte == 0) {
        return Ok(Start::Zeros);
    }
    let (Some(magic), Some(payload_bytes), Some(first_seq), Some(count), Some(crc)) = (
        header.first_chunk::<4>(),
        u32_at(header, 4),
        header.get(8..16).and_then(|bytes| bytes.first_chunk::<8>()),
        u32_at(header, 16),
        u32_at(header, 20),
    ) else {
        return Err(FrameFault::Magic);
    };
    if *magic != MAGIC {
        return Err(FrameFault::Magic);
    }
    let frame_bytes = FRAME_HEADER_BYTES + payload_bytes as usize;
    if frame_bytes > GROUP_BYTES_MAX || count == 0 || payload_bytes as usize / ENTRY_HEADER_BYTES < count as usize {
        return Err(FrameFault::Length { bytes: frame_bytes as u64 });
    }
    Ok(Start::Frame(FrameHeader { frame_bytes, first_seq: u64::from_le_bytes(*first_seq), count, crc }))
}

/// The whole, valid frame at the start of `bytes`, with its first record.
pub(crate) fn whole(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Ok(Start::Frame(header)) = read_header(bytes) else { return None };
    let frame = bytes.get(..header.frame_bytes)?;
    check(&header, frame).ok().map(|()| (header.first_seq, frame))
}

/// Checks a whole frame against its checksum and layout.
pub(crate) fn check(header: &FrameHeader, frame: &[u8]) -> Result<(), FrameFault> {
    if frame.len() != header.frame_bytes || checksum(frame) != header.crc {
        return Err(FrameFault::Checksum);
    }
    let mut entries = entries(frame, header.first_seq);
    let found = entries.by_ref().count();
    if found != header.count as usize || !entries.rest.is_empty() { Err(FrameFault::Layout) } else { Ok(()) }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|value| u32::from_le_bytes(*value))
}

/// One record in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) seq: u64,
    /// Where the entry starts in its frame.
    pub(crate) at: usize,
    pub(crate) salt: &'a Salt,
    pub(crate) bytes: &'a [u8],
}

/// The records of a frame that [`check`] accepted.
pub(crate) fn entries(frame: &[u8], first_seq: u64) -> Entries<'_> {
    Entries { rest: frame.get(FRAME_HEADER_BYTES..).unwrap_or_default(), at: FRAME_HEADER_BYTES, seq: first_seq }
}

#[derive(Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    at: usize,
    seq: u64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (header, rest) = self.rest.split_at_checked(ENTRY_HEADER_BYTES)?;
        let length = u32_at(header, 0)? as usize;
        let salt = header.get(4..)?.first_chunk::<SALT_BYTES>()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        let entry = Entry { seq: self.seq, at: self.at, salt, bytes };
        self.rest = rest;
        self.at += ENTRY_HEADER_BYTES + length;
        self.seq += 1;
        Some(entry)
    }
}

/// Reads the length and salt that precede a record.
pub(crate) fn entry_header(bytes: &[u8]) -> Option<(usize, Salt)> {
    let length = u32_at(bytes, 0)? as usize;
    let salt = bytes.get(4..)?.first_chunk::<SALT_BYTES>()?;
    (length <= RECORD_BYTES_MAX + RECORD_BYTES_SPARE).then_some((length, *salt))
}

/// The one changed bit that keeps the start of `bytes` from being a valid frame with the first record `want_seq`: its place, its mask and the repaired frame.
pub(crate) fn locate_flip(bytes: &[u8], want_seq: u64) -> Option<(usize, u8, Vec<u8>)> {
    let valid = |header: &FrameHeader, frame: &[u8]| header.first_seq == want_seq && check(header, frame).is_ok();
    // A changed header says where the frame ends, so each of its bits is tried; then the checksum tells where in the rest.
    let mut header_bytes = *bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
    for at in 0..FRAME_HEADER_BYTES {
        for mask in (0..8).map(|bit| 1_u8 << bit) {
            flip(&mut header_bytes, at, mask);
            if let Ok(Start::Frame(header)) = read_header(&header_bytes)
                && let Some(frame) = bytes.get(..header.frame_bytes)
            {
                let mut frame = frame.to_vec();
                flip(&mut frame, at, mask);
                if valid(&header, &frame) {
                    return Some((at, mask, frame));
                }
            }
            flip(&mut header_bytes, at, mask);
        }
    }
    let Ok(Start::Frame(header)) = read_header(bytes) else { return None };
    let mut frame = bytes.get(..header.frame_bytes)?.to_vec();
    let found = super::flip::locate(frame.len() - 4, checksum(&frame), header.crc)?;
    let FlipAt::Content(place) = found.at else { return None };
    let at = if place < 20 { place } else { place + 4 };
    flip(&mut frame, at, found.mask);
    valid(&header, &frame).then_some((at, found.mask, frame))
}

fn flip(bytes: &mut [u8], at: usize, mask: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= mask;
    }
}

/// Finds a whole, valid frame anywhere in `bytes` that starts at or after record `seq_min`.
pub(crate) fn find_frame(bytes: &[u8], seq_min: u64) -> Option<usize> {
    (0..bytes.len()).find(|at| {
        let here = bytes.get(*at..).unwrap_or_default();
        if !here.starts_with(&MAGIC) {
            return false;
        }
        whole(here).is_some_and(|(first_seq, _)| first_seq >= seq_min)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::ids::RecordId;
    use evidence::record::{Context, LedgerEvent, LedgerState};
    use evidence::time::Timestamp;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn a_group(details: &[String]) -> Group {
        let mut group = Group::default();
        group.start(7);
        for (index, detail) in details.iter().enumerate() {
            let body = LedgerState {
                detail: detail.clone(),
                event: LedgerEvent::Started,
                origin: "o".into(),
                records: 0,
                version: "1".into(),
            };
            let draft = Draft::new(Arc::new(Context::system()), None, Timestamp::EPOCH, body);
            let place = Place {
                emitter: "cs-test",
                id: RecordId::at(Timestamp::EPOCH, [index as u8; 10]),
                recorded_at: Timestamp::EPOCH,
                seq: group.next_seq(),
            };
            group.push(&draft, place, &[index as u8; 16], RECORD_BYTES_MAX).unwrap();
        }
        group
    }

    fn read(frame: &[u8]) -> Result<Vec<u64>, FrameFault> {
        match read_header(frame)? {
            Start::Zeros => Ok(Vec::new()),
            Start::Frame(header) => {
                check(&header, frame)?;
                Ok(entries(frame, header.first_seq).map(|entry| entry.seq).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn a_sealed_group_reads_back_and_no_flipped_bit_passes(details in prop::collection::vec(".{0,40}", 1..5), at: prop::sample::Index, bit in 0..8_u8) {
            let mut group = a_group(&details);
            let frame = group.seal().to_vec();
            let seqs: Vec<u64> = (7..7 + details.len() as u64).collect();
            prop_assert_eq!(read(&frame), Ok(seqs));
            let mut changed = frame.clone();
            changed[at.index(frame.len())] ^= 1 << bit;
            prop_assert!(read(&changed).is_err());
            let at = at.index(frame.len());
            prop_assert_eq!(locate_flip(&changed, 7), Some((at, 1 << bit, frame)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&bytes);
            let _ = read(&bytes);
            let _ = read(&framed);
            let _ = find_frame(&framed, 0);
        }
    }

    #[test]
    fn a_record_that_is_too_long_leaves_the_group_as_it_was() {
        let mut group = a_group(&["first".to_owned()]);
        let mark = group.mark();
        let body = LedgerState {
            detail: "x".repeat(RECORD_BYTES_MAX),
            event: LedgerEvent::Started,
            origin: "o".into(),
            records: 0,
            version: "1".into(),
        };
        let draft = Draft::new(Arc::new(Context::system()), None, Timestamp::EPOCH, body);
        let place = Place {
            emitter: "cs-test",
            id: RecordId::at(Timestamp::EPOCH, [9; 10]),
            recorded_at: Timestamp::EPOCH,
            seq: group.next_seq(),
        };
        assert!(matches!(group.push(&draft, place, &[0; 16], RECORD_BYTES_MAX), Err(PushError::TooLong { .. })));
        group.rewind(mark);
        let frame = group.seal().to_vec();
        assert_eq!(read(&frame), Ok(vec![7]));
        let shifted = [vec![1, 2, 3], frame].concat();
        assert_eq!(find_frame(&shifted, 7), Some(3));
        assert_eq!(find_frame(&shifted, 8), None);
    }
}
