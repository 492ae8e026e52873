//! Writes a bundle from a ledger, in one pass over the piece of the log that its filter cuts out.
//!
//! Everything is read from what the log has signed: a record that is not the one under the checkpoint ends the export. The bundle gets its name when it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use evidence::bundle::{
    ATTACHMENTS, Attachment, CHECKPOINT, CONTEXT, CONTEXT_SALTS, Count, FORMAT, FileDigest, HANDOVERS, Head, LOG_KEY,
    MANIFEST, Manifest, PROOF_SUFFIX, PROOFS, RECORD_SALTS, RECORDS, SCHEMAS, Scope, Tally, WITNESS_KEYS, signer,
};
use evidence::filter::{Filter, SeqRange, Term};
use evidence::ids::RecordId;
use evidence::leaf::{Leaf, Salt, commitment, hex_text};
use evidence::limits::{BUNDLE_CONTEXT_MAX, BUNDLE_LEAF_TILES_MAX, BUNDLE_PROOFS_MAX, TILE_WIDTH};
use evidence::merkle::{ProveError, inclusion_proof};
use evidence::proof::Proof;
use evidence::record::{self, Body, EvidenceAccess, Link, ReadRecordError, Record, RecordType, VersionedKind};
use evidence::rotation::LOG_KEY as LOG_KEY_NAME;
use evidence::tile::{TileHashes, TileKind, TileRef, parse_entries};
use evidence::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::tar;
use crate::embedded::reader::{Order, ReadError, Reader, Signed};
use crate::ledger::Spot;

/// The page that says how to verify a bundle, and a program that does so.
const PAGES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../../examples/auditor/bundle.md")),
    ("verify.py", include_str!("../../../../examples/auditor/verify_bundle.py")),
];

/// What the names of keys in records begin with.
const PERSON: &str = "person/";

/// What is to be exported. Which records, who asked, when and why is in the record of the export.
pub struct Wanted<'a> {
    /// The number of the record of this export.
    pub access_seq: u64,
    /// Gives attached files by their SHA-256; `None` for one that is not here any more.
    pub attachments: &'a dyn Fn(&str) -> io::Result<Option<Vec<u8>>>,
    /// Sizes of older checkpoints from which the bundle must show that the log grew.
    pub older: Vec<u64>,
    /// Whether those that do not match are wanted too.
    pub scope: Scope,
    /// Under which checkpoint.
    pub under: Under,
    /// The program's version.
    pub version: String,
}

/// Under which checkpoint a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// One that witnesses have cosigned, and no other.
    Cosigned,
    /// One that witnesses have cosigned, where it covers the record of the export; else the newest that the log signed.
    Signed,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file could not be written.
    #[error("write `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The filter is none.
    #[error(transparent)]
    Filter(#[from] evidence::filter::FilterError),
    /// The record of the export is none.
    #[error("record {seq} does not say that records are exported")]
    Unrecorded {
        /// The record.
        seq: u64,
    },
    /// The log has no checkpoint yet that covers the record of this export.
    #[error("the log has not signed record {seq} yet; try again")]
    Unsigned {
        /// The record.
        seq: u64,
    },
    /// Witnesses have cosigned no checkpoint yet that covers the record of this export.
    #[error(
        "the witnesses have not cosigned record {seq} yet; `countersign doctor` says how they stand, and without `--cosigned` the bundle is under the log's own signature"
    )]
    Uncosigned {
        /// The record.
        seq: u64,
    },
    /// A tile of the tree is missing or damaged.
    #[error("tile `{tile}` of the ledger is missing or damaged; `countersign verify --ledger` says more")]
    Tile {
        /// Which.
        tile: TileRef,
    },
    /// A record is not the one that was signed.
    #[error("record {seq} of the ledger is not the one that was signed; `countersign verify --ledger` says more")]
    Unsound {
        /// Which.
        seq: u64,
    },
    /// A record cannot be read.
    #[error("record {seq} of the ledger: {source}")]
    Record {
        /// Which.
        seq: u64,
        /// Why.
        source: ReadRecordError,
    },
    /// A proof cannot be made.
    #[error("the tree of the ledger: {0}")]
    Prove(#[from] ProveError),
    /// More records would stand beside than a bundle has.
    #[error("more than {BUNDLE_CONTEXT_MAX} keys and links of files belong to these records; export less at a time")]
    TooMuch,
    /// JSON cannot be written.
    #[error("write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes a bundle to a folder `out` that is not there yet, or to one file where its name ends in `.tar`. `progress` is told how many records were read, and of how many.
///
/// # Errors
/// [`WriteError`]; then there is no bundle.
pub fn write(
    reader: &Reader,
    wanted: &Wanted<'_>,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, WriteError> {
    let io = |path: &Path, source| WriteError::Io { path: path.to_owned(), source };
    if out.exists() {
        return Err(io(out, io::ErrorKind::AlreadyExists.into()));
    }
    let seq = wanted.access_seq;
    let covers = |signed: &Signed| signed.checkpoint.size >= seq;
    let signed = match (reader.cosigned()?.filter(covers), wanted.under) {
        (Some(cosigned), _) => cosigned,
        (None, Under::Cosigned) => return Err(WriteError::Uncosigned { seq }),
        (None, Under::Signed) => reader.checkpoint()?.filter(covers).ok_or(WriteError::Unsigned { seq })?,
    };
    let unfinished = beside(out, "unfinished");
    let mut folder = Folder::make(&unfinished)?;
    let written = Export::new(reader, wanted, &signed).and_then(|mut export| export.all(&mut folder, progress));
    let packed = written.and_then(|manifest| {
        if out.extension().is_some_and(|extension| extension == "tar") {
            let mut names: Vec<String> = folder.files.iter().map(|file| file.name.clone()).collect();
            names.sort_unstable();
            let packed = beside(out, "packing");
            let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&packed);
            let mut file = BufWriter::new(file.map_err(|error| io(&packed, error))?);
            tar::pack(&unfinished, &names, &mut file).map_err(|error| io(&packed, error))?;
            file.get_ref().sync_all().map_err(|error| io(&packed, error))?;
            fs::rename(&packed, out).map_err(|error| io(out, error))?;
        } else {
            sync(&folder).map_err(|error| io(&unfinished, error))?;
            fs::rename(&unfinished, out).map_err(|error| io(out, error))?;
        }
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| io(parent, error))?;
        Ok(manifest)
    });
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|error| io(&unfinished, error))?;
    }
    packed
}

/// Syncs all files of a bundle, of which there may be many, with one call.
#[cfg(target_os = "linux")]
fn sync(folder: &Folder) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(&folder.root)?)?)
}

/// The same where the system has no such call.
#[cfg(not(target_os = "linux"))]
fn sync(folder: &Folder) -> io::Result<()> {
    folder.files.iter().try_for_each(|file| File::open(folder.root.join(&file.name))?.sync_all())
}

/// A name beside `out` for what is not whole yet.
fn beside(out: &Path, what: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    out.with_file_name(name)
}

/// The bundle while it is written.
struct Folder {
    root: PathBuf,
    files: Vec<FileDigest>,
}

/// One file of it while it is written.
struct Stream {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

impl Folder {
    fn make(root: &Path) -> Result<Self, WriteError> {
        let made = DirBuilder::new().mode(0o700).create(root);
        made.map_err(|source| WriteError::Io { path: root.to_owned(), source })?;
        Ok(Self { root: root.to_owned(), files: Vec::new() })
    }

    fn begin(&self, name: &str) -> Result<Stream, WriteError> {
        let path = self.root.join(name);
        let io = |source| WriteError::Io { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io)?;
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(io)?;
        let (name, file) = (name.to_owned(), BufWriter::with_capacity(256 * 1024, file));
        Ok(Stream { name, path, file, hasher: Sha256::new(), bytes: 0 })
    }

    fn end(&mut self, stream: Stream) -> Result<(), WriteError> {
        let Stream { name, path, mut file, hasher, bytes } = stream;
        file.flush().map_err(|source| WriteError::Io { path, source })?;
        self.files.push(FileDigest { bytes, name, sha256: hex_text(&hasher.finalize().into()) });
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let mut stream = self.begin(name)?;
        stream.put(bytes)?;
        self.end(stream)
    }
}

impl Stream {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let Self { path, file, hasher, .. } = self;
        file.write_all(bytes).map_err(|source| WriteError::Io { path: path.clone(), source })?;
        hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// A file of records, and its salts.
struct Recorded {
    records: Stream,
    salts: Stream,
}

impl Recorded {
    fn begin(folder: &Folder, records: &str, salts: &str) -> Result<Self, WriteError> {
        Ok(Self { records: folder.begin(records)?, salts: folder.begin(salts)? })
    }

    fn put(&mut self, salt: &Salt, bytes: &[u8]) -> Result<(), WriteError> {
        self.records.put(bytes)?;
        self.records.put(b"\n")?;
        self.salts.put(hex::encode(salt).as_bytes())?;
        self.salts.put(b"\n")
    }

    fn end(self, folder: &mut Folder) -> Result<(), WriteError> {
        folder.end(self.records)?;
        folder.end(self.salts)
    }
}

/// Records that others may need.
#[derive(Default)]
struct Around {
    /// What says something of a person's key, by `PERSON/KEY`.
    keys: BTreeMap<String, Vec<Spot>>,
    /// What names new keys of the log.
    rotations: Vec<Spot>,
    /// What links files to a record.
    links: BTreeMap<RecordId, Vec<(Spot, Vec<Link>)>>,
}

struct Export<'a> {
    reader: &'a Reader,
    wanted: &'a Wanted<'a>,
    signed: &'a Signed,
    size: u64,
    access: EvidenceAccess,
    accessed_at: Timestamp,
    filter: Filter,
    around: Around,
    /// The tile of entries that was read last.
    open: Option<(u64, Vec<Vec<u8>>)>,
    records: Count,
    selected: Count,
    tally: Tally,
    attachments: Vec<Attachment>,
    beside: BTreeSet<Spot>,
    /// The selected records, while they are few.
    few: Vec<u64>,
}

impl<'a> Export<'a> {
    fn new(reader: &'a Reader, wanted: &'a Wanted<'a>, signed: &'a Signed) -> Result<Self, WriteError> {
        let (spot, access, accessed_at) = access(reader, wanted.access_seq)?;
        let filter = access.filter.as_deref().ok_or(WriteError::Unrecorded { seq: wanted.access_seq })?.parse()?;
        let around = around(reader, signed.checkpoint.size)?;
        let is_handed_over = |spot: &Spot| signed.handovers.iter().any(|handover| handover.seq == spot.seq);
        let rotations = around.rotations.iter().copied().filter(is_handed_over);
        Ok(Self {
            reader,
            wanted,
            signed,
            size: signed.checkpoint.size,
            access,
            accessed_at,
            filter,
            beside: rotations.chain([spot]).collect(),
            around,
            open: None,
            records: Count::default(),
            selected: Count::default(),
            tally: Tally::default(),
            attachments: Vec::new(),
            few: Vec::new(),
        })
    }

    fn all(&mut self, folder: &mut Folder, progress: &mut dyn FnMut(u64, u64)) -> Result<Manifest, WriteError> {
        for (name, text) in PAGES.into_iter().chain(SCHEMAS) {
            folder.put(name, text.as_bytes())?;
        }
        folder.put(LOG_KEY, format!("{}\n", self.signed.key).as_bytes())?;
        folder.put(CHECKPOINT, &self.signed.note)?;
        for handover in &self.signed.handovers {
            folder.put(&format!("{HANDOVERS}{}", handover.seq), handover.to_string().as_bytes())?;
        }
        let witnesses = self.reader.witness_keys();
        let witnesses = witnesses.map_err(|source| WriteError::Io { path: WITNESS_KEYS.into(), source })?;
        if let Some(keys) = witnesses {
            folder.put(WITNESS_KEYS, &keys)?;
        }
        let bounds = self.filter.bounds();
        let (first, count) = bounds.range(self.size, |seq| self.leaf(seq))?;
        self.population(first, first + count, folder, progress)?;
        let context = self.context(folder)?;
        self.files(folder)?;
        self.tiles(first, first + count, folder)?;
        self.proofs(folder)?;
        let population = std::mem::take(&mut self.tally).finish(first);
        folder.files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            access_seq: self.wanted.access_seq,
            attachments: std::mem::take(&mut self.attachments),
            checkpoint: Head {
                origin: self.signed.checkpoint.origin.to_string(),
                root: hex_text(&self.signed.checkpoint.root),
                size: self.size,
            },
            context,
            created_at: self.accessed_at,
            created_by: self.access.who.clone(),
            emitter: self.reader.emitter().to_owned(),
            files: folder.files.clone(),
            filter: self.access.filter.clone().unwrap_or_default(),
            format: FORMAT,
            population,
            records: std::mem::take(&mut self.records),
            scope: self.wanted.scope,
            selected: std::mem::take(&mut self.selected),
            version: self.wanted.version.clone(),
            why: self.access.why.clone(),
        };
        folder.put(MANIFEST, &manifest.text()?)?;
        Ok(manifest)
    }

    /// The records from `first` on, before `end`.
    fn population(
        &mut self,
        first: u64,
        end: u64,
        folder: &mut Folder,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), WriteError> {
        let mut out = Recorded::begin(folder, RECORDS, RECORD_SALTS)?;
        let (reader, mut next) = (self.reader, first);
        reader.visit_stored(first, end, |seq, salt, bytes| {
            next = seq + 1;
            let record = record::read(bytes).map_err(|source| WriteError::Record { seq, source })?;
            self.tally.take(&record);
            let matches = self.filter.matches(&record);
            if matches {
                self.selected.add(record.record_type);
                if self.selected.records <= BUNDLE_PROOFS_MAX {
                    self.few.push(seq);
                }
            }
            if matches || self.wanted.scope == Scope::Whole {
                self.include(&record, salt, bytes, &mut out)?;
            }
            progress(next - first, end - first);
            Ok::<_, WriteError>(())
        })?;
        // The log is read only as far as it is whole.
        if next < end { Err(WriteError::Unsound { seq: next }) } else { out.end(folder) }
    }

    fn include(&mut self, record: &Record, salt: &Salt, bytes: &[u8], out: &mut Recorded) -> Result<(), WriteError> {
        self.is_signed(record, salt, bytes)?;
        out.put(salt, bytes)?;
        self.records.add(record.record_type);
        if let Some(signer) = signer(record) {
            let key = format!("{}/{}", signer.person, signer.key);
            self.beside.extend(self.around.keys.get(&key).into_iter().flatten());
        }
        for (spot, links) in self.around.links.get(&record.id).into_iter().flatten() {
            self.beside.insert(*spot);
            self.attachments.extend(links.iter().map(|link| Attachment {
                enclosed: true,
                link_seq: spot.seq,
                record: record.id,
                sha256: link.sha256.clone(),
            }));
        }
        if self.beside.len() > BUNDLE_CONTEXT_MAX { Err(WriteError::TooMuch) } else { Ok(()) }
    }

    /// That the log has signed these bytes under this number.
    fn is_signed(&mut self, record: &Record, salt: &Salt, bytes: &[u8]) -> Result<(), WriteError> {
        let leaf = Leaf {
            commitment: hex_text(&commitment(salt, bytes)),
            emitter: record.emitter.clone(),
            id: record.id,
            schema: record.schema,
            seq: record.seq,
            record_type: record.record_type,
        };
        let entry = leaf.entry()?;
        if self.entry(record.seq)? == entry { Ok(()) } else { Err(WriteError::Unsound { seq: record.seq }) }
    }

    fn entry(&mut self, seq: u64) -> Result<&[u8], WriteError> {
        let at = (seq - 1) / TILE_WIDTH;
        if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
            let tile = TileRef::at_size(TileKind::Entries, at, self.size).ok_or(WriteError::Unsound { seq })?;
            let bytes = self.reader.tile(tile).ok_or(WriteError::Tile { tile })?;
            let entries = parse_entries(&bytes, tile.width()).map_err(|_| WriteError::Tile { tile })?;
            self.open = Some((at, entries.into_iter().map(<[u8]>::to_vec).collect()));
        }
        let entries = self.open.as_ref().map(|(_, entries)| entries.as_slice()).unwrap_or_default();
        let place = usize::try_from((seq - 1) % TILE_WIDTH).unwrap_or(usize::MAX);
        entries.get(place).map(Vec::as_slice).ok_or(WriteError::Unsound { seq })
    }

    fn leaf(&mut self, seq: u64) -> Result<Leaf, WriteError> {
        serde_json::from_slice(self.entry(seq)?).map_err(|_| WriteError::Unsound { seq })
    }

    /// The records that others need.
    fn context(&mut self, folder: &mut Folder) -> Result<Count, WriteError> {
        let (mut out, mut count) = (Recorded::begin(folder, CONTEXT, CONTEXT_SALTS)?, Count::default());
        for spot in self.beside.clone() {
            let (salt, bytes) = self.reader.stored(spot)?;
            let record = record::read(&bytes).map_err(|source| WriteError::Record { seq: spot.seq, source })?;
            self.is_signed(&record, &salt, &bytes)?;
            out.put(&salt, &bytes)?;
            count.add(record.record_type);
        }
        out.end(folder)?;
        Ok(count)
    }

    /// The attached files.
    fn files(&mut self, folder: &mut Folder) -> Result<(), WriteError> {
        self.attachments.sort_unstable();
        let digests: BTreeSet<String> = self.attachments.iter().map(|of| of.sha256.clone()).collect();
        let mut lost = BTreeSet::new();
        for sha256 in digests {
            let name = format!("{ATTACHMENTS}{sha256}");
            let io = |source| WriteError::Io { path: PathBuf::from(&name), source };
            match (self.wanted.attachments)(&sha256).map_err(io)? {
                Some(content) => folder.put(&name, &content)?,
                None => drop(lost.insert(sha256)),
            }
        }
        for of in &mut self.attachments {
            of.enclosed = !lost.contains(&of.sha256);
        }
        Ok(())
    }

    /// The part of the tree that leads from these entries to the root.
    fn tiles(&self, first: u64, end: u64, folder: &mut Folder) -> Result<(), WriteError> {
        let tile_of = |seq: u64| seq.clamp(1, self.size).saturating_sub(1) / TILE_WIDTH;
        // With the neighbours, which show that nothing before and after belongs to it.
        let mut entries: BTreeSet<u64> = (tile_of(first.saturating_sub(1))..=tile_of(end)).collect();
        entries.extend(self.beside.iter().map(|spot| tile_of(spot.seq)));
        let mut leaves = entries.clone();
        leaves.insert(tile_of(self.size));
        let handed_over = self.signed.handovers.iter().map(|handover| handover.checkpoint.size);
        let older: Vec<u64> = self.wanted.older.iter().copied().chain(handed_over).collect();
        leaves.extend(older.iter().flat_map(|older| [tile_of(*older), tile_of(*older + 1)]));
        if self.size.div_ceil(TILE_WIDTH) <= BUNDLE_LEAF_TILES_MAX {
            leaves.extend(0..self.size.div_ceil(TILE_WIDTH));
        }
        let mut put = |kind, index| {
            let Some(tile) = TileRef::at_size(kind, index, self.size) else { return Ok(false) };
            let bytes = self.reader.tile(tile).ok_or(WriteError::Tile { tile })?;
            folder.put(&tile.path(), &bytes).map(|()| true)
        };
        for index in entries {
            put(TileKind::Entries, index)?;
        }
        for index in leaves {
            put(TileKind::Hashes { level: 0 }, index)?;
        }
        for level in 1..8 {
            let mut index = 0;
            while put(TileKind::Hashes { level }, index)? {
                index += 1;
            }
        }
        Ok(())
    }

    /// Proofs for single records, where they are few.
    fn proofs(&self, folder: &mut Folder) -> Result<(), WriteError> {
        if self.selected.records > BUNDLE_PROOFS_MAX {
            return Ok(());
        }
        let tiles = std::cell::RefCell::new(BTreeMap::<TileRef, Option<Vec<u8>>>::new());
        let read = |tile| tiles.borrow_mut().entry(tile).or_insert_with(|| self.reader.tile(tile)).clone();
        let source = TileHashes::new(self.size, read);
        for seq in &self.few {
            let (index, checkpoint) = (seq - 1, self.signed.note.clone());
            let proof = Proof { index, hashes: inclusion_proof(index, self.size, &source)?, checkpoint };
            folder.put(&format!("{PROOFS}{seq}{PROOF_SUFFIX}"), proof.to_string().as_bytes())?;
        }
        Ok(())
    }
}

/// The record of an export, and where it is.
fn access(reader: &Reader, seq: u64) -> Result<(Spot, EvidenceAccess, Timestamp), WriteError> {
    let mut found = None;
    let this = Filter::Term(Term::Seq(vec![SeqRange { low: seq, high: seq }]));
    reader.visit_placed(&this, Order::OldestFirst, |spot, record| {
        if let Body::Access(access) = record.body {
            found = Some((spot, access, record.occurred_at));
        }
        ControlFlow::Break(())
    })?;
    found.ok_or(WriteError::Unrecorded { seq })
}

/// Every record of the signed log that another one may need, by what needs it.
fn around(reader: &Reader, size: u64) -> Result<Around, WriteError> {
    let mut around = Around::default();
    let versions = Filter::Term(Term::Type(vec![RecordType::VersionLog]));
    reader.visit_placed(&versions, Order::OldestFirst, |spot, record| {
        if spot.seq > size {
            return ControlFlow::Break(());
        }
        let Body::Version(version) = &record.body else { return ControlFlow::Continue(()) };
        match version.object.kind {
            VersionedKind::Key => {
                if &*version.object.name == LOG_KEY_NAME {
                    around.rotations.push(spot);
                }
                if let Some(key) = version.object.name.strip_prefix(PERSON) {
                    around.keys.entry(key.to_owned()).or_default().push(spot);
                }
            }
            VersionedKind::Attachment => {
                if let Ok(of) = version.object.name.parse::<RecordId>() {
                    around.links.entry(of).or_default().push((spot, record.links.clone()));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(around)
}
