//! Segment files: what they are called, how they start, how groups are read from them.
//!
//! A segment is named for its first record and starts with one page that says which log it belongs to and which group came before it. The rest is zeros until groups
//! are written there. A group never spans segments, so `(segment, offset)` names a byte of the log for good.

use std::io;
use std::time::Instant;

use evidence::leaf::Hash;
use sha2::{Digest, Sha256};

use super::flip::{self, FlipAt};
use super::frame::{self, FRAME_HEADER_BYTES, FrameFault, FrameHeader, Start};
use crate::limits::{
    EMITTER_BYTES_MAX, GROUP_BYTES_MAX, ORIGIN_BYTES_MAX, SCAN_BYTES, SEGMENT_HEADER_BYTES, SEGMENT_PART_BYTES,
};
use crate::ports::{Access, Audience, Disk, File};

/// Where segments are.
pub(crate) const DIRECTORY: &str = "ledger/segments";

/// A file of zeros that will be the next segment. It has no name of its own yet because its first record is not known.
pub(crate) const PREPARED: &str = "ledger/segments/prepared";

const MAGIC: &[u8; 8] = b"cs-seg1\n";
const FORMAT: u32 = 1;
const CRC_AT: usize = SEGMENT_HEADER_BYTES as usize - 4;

/// The path of the segment whose first record is `first_seq`.
pub(crate) fn path(first_seq: u64) -> String {
    format!("{DIRECTORY}/{}", name(first_seq))
}

/// The file name of the segment whose first record is `first_seq`.
pub(crate) fn name(first_seq: u64) -> String {
    format!("{first_seq:020}.seg")
}

/// The first records of all segments, ascending.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let names = disk.list(DIRECTORY)?;
    Ok(names.iter().filter_map(|name| parse_name(name)).collect())
}

fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) first_seq: u64,
    pub(crate) segment_bytes: u64,
    /// SHA-256 of the group before this segment's first one; zeros for the first segment.
    pub(crate) link: Hash,
    pub(crate) emitter: String,
    pub(crate) origin: String,
}

/// SHA-256 of a group's frame, as the next segment's header holds it.
pub(crate) fn link(frame: &[u8]) -> Hash {
    if frame.is_empty() { [0; 32] } else { Sha256::digest(frame).into() }
}

/// What is wrong with a segment's first page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// It is not the start of a segment.
    #[error("the file does not start as a segment does")]
    Magic,
    /// Another program version wrote it.
    #[error("segment format {found}; this version reads {FORMAT}")]
    Format {
        /// The format found.
        found: u32,
    },
    /// It changed after it was written.
    #[error("the checksum of the segment's first page does not match")]
    Checksum,
    /// It belongs elsewhere.
    #[error("the segment's first page says {what}")]
    Foreign {
        /// What it says that does not fit.
        what: String,
    },
}

impl SegmentHeader {
    /// The header page.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&FORMAT.to_le_bytes());
        page.extend_from_slice(&self.first_seq.to_le_bytes());
        page.extend_from_slice(&self.segment_bytes.to_le_bytes());
        page.extend_from_slice(&self.link);
        for (text, bytes_max) in [(&self.emitter, EMITTER_BYTES_MAX), (&self.origin, ORIGIN_BYTES_MAX)] {
            let bytes = text.as_bytes().get(..text.len().min(bytes_max)).unwrap_or_default();
            page.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            page.extend_from_slice(bytes);
        }
        page.resize(CRC_AT, 0);
        let crc = crc32fast::hash(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a header page.
    pub(crate) fn read(page: &[u8]) -> Result<Self, HeaderFault> {
        let (content, crc) = page.split_at_checked(CRC_AT).ok_or(HeaderFault::Magic)?;
        if !content.starts_with(MAGIC) {
            return Err(HeaderFault::Magic);
        }
        if crc.first_chunk::<4>().map(|crc| u32::from_le_bytes(*crc)) != Some(crc32fast::hash(content)) {
            return Err(HeaderFault::Checksum);
        }
        let mut rest = content.get(MAGIC.len()..).unwrap_or_default();
        let format = take::<4>(&mut rest).map(u32::from_le_bytes).ok_or(HeaderFault::Magic)?;
        if format != FORMAT {
            return Err(HeaderFault::Format { found: format });
        }
        let header = (|| {
            Some(Self {
                first_seq: take::<8>(&mut rest).map(u64::from_le_bytes)?,
                segment_bytes: take::<8>(&mut rest).map(u64::from_le_bytes)?,
                link: take::<32>(&mut rest)?,
                emitter: take_text(&mut rest)?,
                origin: take_text(&mut rest)?,
            })
        })();
        header.ok_or(HeaderFault::Magic)
    }
}

/// The one changed bit that keeps a header page from being one, if one bit explains it.
pub(crate) fn locate_flip(page: &[u8]) -> Option<(usize, u8)> {
    let (content, crc) = page.split_at_checked(CRC_AT)?;
    let stored = u32::from_le_bytes(*crc.first_chunk::<4>()?);
    let found = flip::locate(content.len(), crc32fast::hash(content), stored)?;
    let at = match found.at {
        FlipAt::Content(at) => at,
        FlipAt::Checksum(at) => CRC_AT + at,
    };
    let mut mended = page.to_vec();
    *mended.get_mut(at)? ^= found.mask;
    SegmentHeader::read(&mended).is_ok().then_some((at, found.mask))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = take::<2>(rest).map(u16::from_le_bytes)?;
    let (text, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

/// Makes a segment's file of `segment_bytes` zeros under [`PREPARED`], durable.
///
/// The zeros are written, not only reserved, so that the file system has nothing to note but the bytes themselves when groups overwrite them. While nobody is in a
/// hurry they are written part by part, so that the writer's next sync waits for one part and not for all of them.
pub(crate) fn prepare(disk: &dyn Disk, segment_bytes: u64, is_hurried: impl Fn() -> bool) -> io::Result<Box<dyn File>> {
    disk.create_dir(DIRECTORY)?;
    let file = disk.create(PREPARED, Audience::Owner)?;
    let zeros = vec![0_u8; SEGMENT_PART_BYTES];
    let mut at = 0;
    while at < segment_bytes {
        let started = Instant::now();
        let length = (segment_bytes - at).min(zeros.len() as u64);
        file.write_at(zeros.get(..length as usize).unwrap_or_default(), at)?;
        at += length;
        if at < segment_bytes && !is_hurried() {
            file.sync_data()?;
            std::thread::sleep(started.elapsed());
        }
    }
    file.sync_data()?;
    Ok(file)
}

/// Turns the prepared file into the segment that `header` describes.
///
/// The name comes last: a file that has a segment's name has a durable header.
pub(crate) fn activate(disk: &dyn Disk, file: &dyn File, header: &SegmentHeader) -> io::Result<()> {
    file.write_at(&header.write(), 0)?;
    file.sync_data()?;
    // CRASH: the prepared file has a header and no name; the next opening makes a new one.
    disk.rename(PREPARED, &path(header.first_seq))?;
    disk.sync_dir(DIRECTORY)
    // CRASH: an empty segment is the last one; the next opening goes on in it.
}

/// One segment, open for reading its groups.
pub(crate) struct SegmentReader {
    pub(crate) first_seq: u64,
    pub(crate) segment_bytes: u64,
    file: Box<dyn File>,
    /// Bytes of the file, from `at`.
    chunk: Vec<u8>,
    at: u64,
}

/// One group, as read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupRead<'a> {
    /// The segment it is in.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    pub(crate) frame: &'a [u8],
}

/// Why there is no group at an offset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Fault(#[from] FrameFault),
}

impl SegmentReader {
    pub(crate) fn open(disk: &dyn Disk, first_seq: u64) -> io::Result<Self> {
        let file = disk.open(&path(first_seq), Access::Read)?;
        let segment_bytes = file.bytes()?;
        Ok(Self { first_seq, segment_bytes, file, chunk: Vec::new(), at: 0 })
    }

    pub(crate) fn header_page(&self) -> io::Result<Vec<u8>> {
        let mut page = vec![0; SEGMENT_HEADER_BYTES as usize];
        let read = self.file.read_at(&mut page, 0)?;
        page.truncate(read);
        Ok(page)
    }

    /// Whether anything is written at `offset`.
    pub(crate) fn is_written(&mut self, offset: u64) -> io::Result<bool> {
        Ok(self.bytes(offset, FRAME_HEADER_BYTES)?.iter().any(|byte| *byte != 0))
    }

    /// The group at `offset`, whose first record must be `want_seq`; `None` where nothing has been written.
    pub(crate) fn group(&mut self, offset: u64, want_seq: u64) -> Result<Option<GroupRead<'_>>, GroupError> {
        let header = match frame::read_header(self.bytes(offset, FRAME_HEADER_BYTES)?)? {
            Start::Zeros => return Ok(None),
            Start::Frame(header) => header,
        };
        if header.first_seq != want_seq {
            return Err(FrameFault::Sequence { want: want_seq, found: header.first_seq }.into());
        }
        let segment = self.first_seq;
        let bytes = self.bytes(offset, header.frame_bytes)?;
        frame::check(&header, bytes)?;
        Ok(Some(GroupRead { segment, offset, header, frame: bytes }))
    }

    /// Forgets what was read ahead: the writer may have written there since.
    pub(crate) fn refresh(&mut self) {
        self.chunk.clear();
    }

    /// `length` bytes from `offset`, fewer at the end of the file.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = offset >= self.at && offset + length as u64 <= self.at + self.chunk.len() as u64;
        if !held {
            let wanted = length
                .max(SCAN_BYTES)
                .min(usize::try_from(self.segment_bytes - offset.min(self.segment_bytes)).unwrap_or(usize::MAX));
            self.chunk.resize(wanted, 0);
            let read = self.file.read_at(&mut self.chunk, offset)?;
            self.chunk.truncate(read);
            self.at = offset;
        }
        let from = (offset - self.at) as usize;
        let to = (from + length).min(self.chunk.len());
        Ok(self.chunk.get(from..to).unwrap_or_default())
    }

    /// Everything from `offset` to the end of the file.
    pub(crate) fn rest(&self, offset: u64) -> io::Result<Vec<u8>> {
        let length = self.segment_bytes.saturating_sub(offset);
        let mut out = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?];
        let read = self.file.read_at(&mut out, offset)?;
        out.truncate(read);
        Ok(out)
    }

    /// Reads one record's bytes with their salt, by the offset of its entry.
    pub(crate) fn entry(&self, offset: u64) -> io::Result<(evidence::leaf::Salt, Vec<u8>)> {
        let mut header = [0; frame::ENTRY_HEADER_BYTES];
        let read = self.file.read_at(&mut header, offset)?;
        let known = if read == header.len() { frame::entry_header(&header) } else { None };
        let Some((length, salt)) = known else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no record starts there"));
        };
        let mut bytes = vec![0; length];
        let read = self.file.read_at(&mut bytes, offset + header.len() as u64)?;
        bytes.truncate(read);
        Ok((salt, bytes))
    }
}

/// The most that one unfinished write can have left behind.
pub(crate) const TORN_BYTES_MAX: u64 = GROUP_BYTES_MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_page_reads_back_and_no_flipped_bit_passes() {
        let header = SegmentHeader {
            first_seq: 42,
            segment_bytes: 65_536,
            link: [7; 32],
            emitter: "cs-0123456789abcdef".into(),
            origin: "countersign.local/cs-0123456789abcdef".into(),
        };
        let page = header.write();
        assert_eq!(page.len() as u64, SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::read(&page), Ok(header));
        for at in 0..page.len() {
            let mut changed = page.clone();
            changed[at] ^= 0x10;
            assert!(SegmentHeader::read(&changed).is_err(), "byte {at}");
            assert_eq!(locate_flip(&changed), Some((at, 0x10)));
        }
    }

    #[test]
    fn only_segment_names_are_segments() {
        assert_eq!(parse_name(&name(77)), Some(77));
        for other in ["prepared", "77.seg", "+0000000000000000077.seg", "00000000000000000077.seg.tmp"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
