//! One tar file (POSIX ustar) of regular files, the same bytes for the same files: no times, no owners, names in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use crate::limits::BUNDLE_FILES_MAX;

/// Tar is made of these.
pub(crate) const BLOCK: usize = 512;

/// The longest name that a header holds by itself; a longer one is cut at a slash, and has its start in a field of its own.
const NAME_BYTES_MAX: usize = 100;

/// The longest start of a name.
const PREFIX_BYTES_MAX: usize = 155;

/// Sizes from here on do not fit eleven octal digits, and are written in binary as other tools do.
const OCTAL_MAX: u64 = 1 << 33;

/// Far more than any file has, and sums of it with an offset fit.
const SIZE_MAX: u64 = 1 << 60;

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn put(header: &mut [u8; BLOCK], at: usize, text: &[u8]) {
    if let Some(slot) = header.get_mut(at..at + text.len()) {
        slot.copy_from_slice(text);
    }
}

pub(crate) fn header(name: &str, bytes: u64) -> io::Result<[u8; BLOCK]> {
    let (prefix, rest) = cut(name).ok_or_else(|| invalid(format!("the name `{name}` is too long for a tar file")))?;
    let mut header = [0; BLOCK];
    put(&mut header, 0, rest.as_bytes());
    put(&mut header, 345, prefix.as_bytes());
    // Mode, owner and group.
    put(&mut header, 100, b"0000600");
    put(&mut header, 108, b"0000000");
    put(&mut header, 116, b"0000000");
    if bytes < OCTAL_MAX {
        put(&mut header, 124, format!("{bytes:011o}").as_bytes());
    } else {
        put(&mut header, 124, &[0x80, 0, 0, 0]);
        put(&mut header, 128, &bytes.to_be_bytes());
    }
    put(&mut header, 136, b"00000000000");
    put(&mut header, 156, b"0ustar");
    put(&mut header, 263, b"00");
    let sum = checksum(&header);
    put(&mut header, 148, format!("{sum:06o}\u{0} ").as_bytes());
    Ok(header)
}

/// The two fields that hold a name.
fn cut(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_BYTES_MAX {
        return Some(("", name));
    }
    let fits = |(prefix, rest): &(&str, &str)| prefix.len() <= PREFIX_BYTES_MAX && rest.len() <= NAME_BYTES_MAX;
    let slashes = name.match_indices('/').filter_map(|(at, _)| Some((name.get(..at)?, name.get(at + 1..)?)));
    slashes.into_iter().find(fits)
}

/// The sum of a header's bytes, its own field taken for spaces.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { u32::from(b' ') } else { u32::from(*byte) };
    header.iter().enumerate().map(byte).sum()
}

/// Writes the files below `folder` with these names.
pub(super) fn pack(folder: &Path, names: &[String], out: &mut impl Write) -> io::Result<()> {
    for name in names {
        let mut file = File::open(folder.join(name))?;
        let bytes = file.metadata()?.len();
        out.write_all(&header(name, bytes)?)?;
        if io::copy(&mut file, out)? != bytes {
            return Err(invalid(format!("`{name}` changed while it was packed")));
        }
        out.write_all([0; BLOCK].get(..padding(bytes)).unwrap_or_default())?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()
}

/// Zeros after a file.
pub(crate) const fn padding(bytes: u64) -> usize {
    let over = (bytes % BLOCK as u64) as usize;
    if over == 0 { 0 } else { BLOCK - over }
}

/// A regular file in a tar file: its name and how long it is.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// Reads a header; `None` for the zeros at the end, and an entry without a name for a folder, which other tools write.
pub(crate) fn entry(header: &[u8; BLOCK], at: u64) -> io::Result<Option<Entry>> {
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let damaged = || invalid(format!("at byte {at} of the tar file is no header of a file"));
    let field = |at: usize, bytes: usize| header.get(at..at + bytes).unwrap_or_default();
    let octal = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    if octal(field(148, 8)) != Some(checksum(header).into()) {
        return Err(damaged());
    }
    let size = match field(124, 12) {
        [0x80, 0, 0, 0, size @ ..] => size.try_into().map(u64::from_be_bytes).ok(),
        text => octal(text),
    };
    let size = size.filter(|size| *size < SIZE_MAX).ok_or_else(damaged)?;
    let text = |at, bytes| {
        let text = field(at, bytes).split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| damaged())
    };
    let (name, prefix) = (text(0, NAME_BYTES_MAX)?, text(345, PREFIX_BYTES_MAX)?);
    let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let name = name.trim_start_matches("./").to_owned();
    match header.get(156) {
        Some(b'0' | 0) => Ok(Some(Entry { name, size })),
        Some(b'5') => Ok(Some(Entry { name: String::new(), size })),
        _ => Err(invalid(format!("`{name}` in the tar file is no regular file"))),
    }
}

/// Where the files of a tar file are: offset and size by name.
pub(super) fn index(file: &mut File) -> io::Result<BTreeMap<String, (u64, u64)>> {
    let (mut files, mut at) = (BTreeMap::new(), 0_u64);
    let end = file.metadata()?.len();
    loop {
        let mut header = [0; BLOCK];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)
            .map_err(|_| invalid(format!("the tar file ends at byte {at}, within a header")))?;
        let Some(Entry { name, size }) = entry(&header, at)? else { return Ok(files) };
        at += BLOCK as u64;
        if !name.is_empty() {
            if files.len() >= BUNDLE_FILES_MAX {
                return Err(invalid(format!("the tar file has more than {BUNDLE_FILES_MAX} files")));
            }
            if at + size > end {
                return Err(invalid(format!("the tar file ends within `{name}`")));
            }
            if files.insert(name.clone(), (at, size)).is_some() {
                return Err(invalid(format!("`{name}` is in the tar file twice")));
            }
        }
        at += size + padding(size) as u64;
    }
}
