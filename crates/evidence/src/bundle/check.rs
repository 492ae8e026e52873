//! Verifies a bundle from its files and the log's public key alone.
//!
//! Order: what the manifest claims of its files; the signed checkpoint; every tile up to its root; the entries of the population one by one, and beside them the records; the
//! records that stand beside; attachments and proofs. What the tree proves is told apart from what only the manifest says: [`Report::undecided`] counts the records that are
//! not in the bundle and may match its filter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read as _};

use sha2::{Digest as _, Sha256};

use super::entries::Tree;
use super::fault::{Found, Wrong};
use super::lines::{Line, LineFault, Lines};
use super::signer::{Signer, signer};
use super::{
    ATTACHMENTS, Attachment, CHECKPOINT, CONTEXT, CONTEXT_SALTS, Count, FORMAT, Files, HANDOVERS, Head, LOG_KEY,
    MANIFEST, Manifest, PROOF_SUFFIX, PROOFS, Population, RECORD_SALTS, RECORDS, SCHEMAS, Scope, TILES, Tally,
    read_file,
};
use crate::checkpoint::{Checkpoint, Note, VerifierKey};
use crate::cosignature::{Cosigned, Witnesses};
use crate::filter::Filter;
use crate::ids::RecordId;
use crate::leaf::{Leaf, commitment, hex_text, sha256_hex};
use crate::limits::{BUNDLE_CONTEXT_MAX, MANIFEST_BYTES_MAX, NOTE_BYTES_MAX, TILE_WIDTH};
use crate::merkle::{consistency_proof, verify_consistency};
use crate::proof::{PROOF_BYTES_MAX, Proof};
use crate::record::{self, Body, Link, Record, VersionedKind};
use crate::rotation::{Fit, HANDOVER_BYTES_MAX, Handover, KeyChain, Rotation, RotationError};
use crate::time::Timestamp;
use crate::verify::{Flaw, LedgerCheck, PersonKeys, ReviewFlaw};

/// Whom a check goes by.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The log's public key, from elsewhere than the bundle.
    pub key: VerifierKey,
    /// Checkpoints that were kept earlier, with what to call each: the log must have grown from all of them.
    pub older: Vec<(String, Vec<u8>)>,
    /// The witnesses that must have cosigned the checkpoint.
    pub witnesses: Witnesses,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// What the bundle claims; `None` where it does not say.
    pub manifest: Option<Manifest>,
    /// What the log signed; `None` where that is not to be trusted.
    pub checkpoint: Option<Checkpoint>,
    /// Those of the trusted witnesses who cosigned the checkpoint.
    pub cosigned: Vec<Cosigned>,
    /// Records that are those which the log signed.
    pub proved: u64,
    /// Records of the population that are not in the bundle, and of which the public entry does not say whether they match.
    pub undecided: u64,
    /// Signatures of people that are theirs.
    pub signatures: u64,
    /// Attached files that are what was attached.
    pub attachments: u64,
    /// Proofs for single records that hold.
    pub proofs: u64,
    /// Older checkpoints from which the log grew.
    pub grown_from: u64,
    /// Whether the bundle has the whole log, so that intents, outcomes and approvals were followed too.
    pub followed: bool,
    /// What is wrong.
    pub faults: Vec<super::Fault>,
    /// How many faults are not listed.
    pub faults_omitted: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Verifies a bundle. `progress` is told how many records of its population were read.
pub fn check(files: &dyn Files, trust: &Trust, progress: &mut dyn FnMut(u64)) -> Report {
    let mut check = Check {
        files,
        key: trust.key.clone(),
        log_keys: KeyChain::alone(trust.key.clone()),
        witnesses: &trust.witnesses,
        found: Found::default(),
        report: Report {
            manifest: None,
            checkpoint: None,
            cosigned: Vec::new(),
            proved: 0,
            undecided: 0,
            signatures: 0,
            attachments: 0,
            proofs: 0,
            grown_from: 0,
            followed: false,
            faults: Vec::new(),
            faults_omitted: 0,
        },
        keys: PersonKeys::default(),
        needed: BTreeSet::new(),
        links: BTreeMap::new(),
        wanted: BTreeSet::new(),
    };
    check.all(&trust.older, progress);
    let Found { faults, omitted } = check.found;
    Report { faults, faults_omitted: omitted, ..check.report }
}

struct Check<'a> {
    files: &'a dyn Files,
    /// The key of the log that is trusted; then the one that signed the checkpoint.
    key: VerifierKey,
    log_keys: KeyChain,
    witnesses: &'a Witnesses,
    found: Found,
    report: Report,
    keys: PersonKeys,
    /// Records beside that some record needs.
    needed: BTreeSet<u64>,
    /// Files linked to records, by the record.
    links: BTreeMap<RecordId, Vec<(u64, Link)>>,
    /// Attachments of records that are in the bundle.
    wanted: BTreeSet<Attachment>,
}

impl Check<'_> {
    fn all(&mut self, older: &[(String, Vec<u8>)], progress: &mut dyn FnMut(u64)) {
        let manifest = match read_file(self.files, MANIFEST, MANIFEST_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice::<Manifest>(&bytes).map_err(|error| Wrong::Manifest(error.to_string())),
            Err(error) => Err(error.into()),
        };
        let manifest = match manifest {
            Ok(manifest) if manifest.format == FORMAT => manifest,
            Ok(other) => {
                let what = format!("it has the format {}, and this version reads {FORMAT}", other.format);
                return self.found.fault(MANIFEST, None, Wrong::Manifest(what));
            }
            Err(wrong) => return self.found.fault(MANIFEST, None, wrong),
        };
        self.report.manifest = Some(manifest.clone());
        let names = self.files.names();
        self.digests(&manifest, &names);
        self.log_keys(&names);
        let Some((checkpoint, note)) = self.checkpoint(&manifest) else { return };
        let mut tree = Tree::check(self.files, &names, checkpoint.size, &checkpoint.root, &mut self.found);
        for handover in self.log_keys.clone().handovers() {
            if let Err(wrong) = grew(&handover.checkpoint, &checkpoint, &tree) {
                self.found.fault(&format!("{HANDOVERS}{}", handover.seq), Some(handover.seq), wrong);
            }
        }
        for (name, older) in older {
            self.grown(name, older, &checkpoint, &tree);
        }
        let context = self.context(&manifest, &mut tree);
        self.population(&manifest, &checkpoint, &mut tree, progress);
        self.beside(&manifest, &context);
        self.attachments(&manifest, &names);
        self.proofs(&names, &note, &mut tree);
        self.report.checkpoint = Some(checkpoint);
    }

    /// Compares the files with their digests.
    fn digests(&mut self, manifest: &Manifest, names: &[String]) {
        let listed: BTreeMap<&str, &super::FileDigest> =
            manifest.files.iter().map(|file| (file.name.as_str(), file)).collect();
        for name in names.iter().filter(|name| *name != MANIFEST) {
            let Some(file) = listed.get(name.as_str()) else {
                self.found.fault(name, None, Wrong::Unlisted);
                continue;
            };
            match digest(self.files, name) {
                Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => {}
                Ok((_, found)) => self.found.fault(name, None, Wrong::Digest { found }),
                Err(error) => self.found.fault(name, None, error.into()),
            }
        }
        let present: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        for name in listed.keys().filter(|name| !present.contains(*name)) {
            self.found.fault(name, None, Wrong::Io(io::ErrorKind::NotFound.into()));
        }
        // Pages and programs may be those of another version; the schemas of a released one never change.
        for (name, text) in SCHEMAS {
            match read_file(self.files, name, text.len()) {
                Ok(found) if found == text.as_bytes() => {}
                Ok(found) => {
                    let found = sha256_hex(&found);
                    self.found.fault(name, None, Wrong::Digest { found });
                }
                Err(error) => self.found.fault(name, None, error.into()),
            }
        }
    }

    /// Reads the keys of the log, of which the trusted one must be one.
    fn log_keys(&mut self, names: &[String]) {
        let mut handovers = Vec::new();
        for name in names.iter().filter(|name| name.starts_with(HANDOVERS)) {
            let read = read_file(self.files, name, HANDOVER_BYTES_MAX).map_err(Wrong::Io);
            match read.and_then(|bytes| Ok(Handover::parse(&bytes)?)) {
                Ok(handover) if *name == format!("{HANDOVERS}{}", handover.seq) => handovers.push(handover),
                Ok(_) => self.found.fault(name, None, RotationError::Unrecorded.into()),
                Err(wrong) => self.found.fault(name, None, wrong),
            }
        }
        let key = match read_file(self.files, LOG_KEY, 1_024) {
            Ok(key) => String::from_utf8_lossy(&key).trim_end().parse::<VerifierKey>(),
            Err(error) => return self.found.fault(LOG_KEY, None, error.into()),
        };
        match key.map(|key| KeyChain::of(key, handovers)) {
            Ok(Ok(keys)) if keys.has(&self.key) => self.log_keys = keys,
            Ok(Err(error)) => self.found.fault(HANDOVERS, None, error.into()),
            Ok(Ok(_)) | Err(_) => self.found.fault(LOG_KEY, None, Wrong::Key),
        }
    }

    fn checkpoint(&mut self, manifest: &Manifest) -> Option<(Checkpoint, Vec<u8>)> {
        let note = match read_file(self.files, CHECKPOINT, NOTE_BYTES_MAX) {
            Ok(note) => note,
            Err(error) => {
                self.found.fault(CHECKPOINT, None, error.into());
                return None;
            }
        };
        let checkpoint = match self.log_keys.open(&note) {
            Ok((checkpoint, key)) => {
                self.key = key.clone();
                checkpoint
            }
            Err(error) => {
                self.found.fault(CHECKPOINT, None, error.into());
                return None;
            }
        };
        match Note::parse(&note).map(|note| self.witnesses.check(&note)) {
            Ok(Ok(cosigned)) => self.report.cosigned = cosigned,
            Ok(Err(error)) => self.found.fault(CHECKPOINT, None, error.into()),
            Err(error) => self.found.fault(CHECKPOINT, None, Wrong::Checkpoint(error.into())),
        }
        let head =
            Head { origin: checkpoint.origin.to_string(), root: hex_text(&checkpoint.root), size: checkpoint.size };
        self.claim("heads of the log", &manifest.checkpoint, &head);
        Some((checkpoint, note))
    }

    /// Compares what the manifest claims with what there is.
    fn claim<T: PartialEq + fmt::Debug>(&mut self, what: &'static str, claimed: &T, found: &T) {
        if claimed != found {
            let short = |value: &T| format!("{value:?}").chars().take(400).collect::<String>();
            let wrong = Wrong::Claim { what, claimed: short(claimed), found: short(found) };
            self.found.fault(MANIFEST, None, wrong);
        }
    }

    /// Checks that the log grew from a checkpoint that was kept.
    fn grown(&mut self, name: &str, older: &[u8], checkpoint: &Checkpoint, tree: &Tree<'_>) {
        let older = match self.log_keys.open(older) {
            Ok((older, _)) => older,
            Err(error) => return self.found.fault(name, None, error.into()),
        };
        match grew(&older, checkpoint, tree) {
            Ok(()) => self.report.grown_from += 1,
            Err(wrong) => self.found.fault(name, None, wrong),
        }
    }

    /// Reads the records that stand beside; gives their numbers and counts.
    fn context(&mut self, manifest: &Manifest, tree: &mut Tree<'_>) -> (BTreeSet<u64>, Count) {
        let (mut seqs, mut count) = (BTreeSet::new(), Count::default());
        let mut lines = match Lines::open(self.files, CONTEXT, CONTEXT_SALTS) {
            Ok(lines) => lines,
            Err(fault) => {
                self.line_fault(CONTEXT, CONTEXT_SALTS, fault);
                return (seqs, count);
            }
        };
        let mut last = 0;
        loop {
            let record = match self.next_record(&mut lines, CONTEXT, CONTEXT_SALTS) {
                Next::End => break,
                Next::Fault => continue,
                Next::Broken => break,
                Next::Record(record, line) => match tree.leaf(record.seq) {
                    Ok(leaf) if self.proved(&record, &line, CONTEXT, &leaf) => record,
                    Ok(_) => continue,
                    Err((_, wrong)) => {
                        self.found.fault(CONTEXT, Some(record.seq), wrong);
                        continue;
                    }
                },
            };
            if record.seq <= last {
                self.found.fault(CONTEXT, Some(record.seq), Wrong::Misplaced);
                continue;
            }
            if seqs.len() >= BUNDLE_CONTEXT_MAX {
                self.found.fault(CONTEXT, Some(record.seq), Wrong::TooMany);
                break;
            }
            last = record.seq;
            count.add(record.record_type);
            seqs.insert(record.seq);
            self.keys.take(&record);
            if let Some(named) = Rotation::of(&record) {
                match named.and_then(|keys| self.log_keys.fits(record.seq, &keys)) {
                    Ok(Fit::HandedOver) => drop(self.needed.insert(record.seq)),
                    Ok(Fit::Pending) => {}
                    Err(error) => self.found.fault(CONTEXT, Some(record.seq), error.into()),
                }
            }
            if let Body::Access(access) = &record.body
                && record.seq == manifest.access_seq
            {
                self.needed.insert(record.seq);
                let claimed = (None, Some(&manifest.filter), &manifest.created_by, &manifest.why, manifest.created_at);
                let said = (access.look, access.filter.as_ref(), &access.who, &access.why, record.occurred_at);
                self.claim("words of the export", &claimed, &said);
            }
            if let Body::Version(version) = &record.body
                && version.object.kind == VersionedKind::Attachment
                && let Ok(to) = version.object.name.parse::<RecordId>()
            {
                let links = record.links.iter().map(|link| (record.seq, link.clone()));
                self.links.entry(to).or_default().extend(links);
            }
        }
        (seqs, count)
    }

    /// Whether a record is the one that the log signed under its number, which has this leaf.
    fn proved(&mut self, record: &Record, line: &Line, file: &str, leaf: &Leaf) -> bool {
        let is_signed = leaf.commitment == hex_text(&commitment(&line.salt, &line.bytes))
            && leaf.emitter == record.emitter
            && leaf.id == record.id
            && leaf.schema == record.schema
            && leaf.seq == record.seq
            && leaf.record_type == record.record_type;
        if is_signed {
            self.report.proved += 1;
        } else {
            self.found.fault(file, Some(record.seq), Wrong::Record);
        }
        is_signed
    }

    fn next_record(&mut self, lines: &mut Lines<'_>, records: &str, salts: &str) -> Next {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Next::End,
            Err(fault) => {
                self.line_fault(records, salts, fault);
                return Next::Broken;
            }
        };
        match record::read(&line.bytes) {
            Ok(record) => Next::Record(Box::new(record), line),
            Err(source) => {
                self.found.fault(records, None, Wrong::Unreadable { line: lines.line, source });
                Next::Fault
            }
        }
    }

    fn line_fault(&mut self, records: &str, salts: &str, fault: LineFault) {
        let (file, text) = match fault {
            LineFault::Records(text) => (records, text),
            LineFault::Salts(text) => (salts, text),
        };
        self.found.fault(file, None, Wrong::Lines(text));
    }

    /// Goes through the population entry by entry, and through the records beside it.
    fn population(
        &mut self,
        manifest: &Manifest,
        checkpoint: &Checkpoint,
        tree: &mut Tree<'_>,
        progress: &mut dyn FnMut(u64),
    ) {
        let filter = match manifest.filter.parse::<Filter>() {
            Ok(filter) => filter,
            Err(error) => return self.found.fault(MANIFEST, None, Wrong::Manifest(format!("its filter: {error}"))),
        };
        let span = manifest.population.span();
        if span.first == 0 || span.end().saturating_sub(1) > checkpoint.size {
            let wrong = Wrong::Beyond { seq: span.end().saturating_sub(1), size: checkpoint.size };
            return self.found.fault(MANIFEST, None, wrong);
        }
        self.ends(&filter, span.first, span.end(), checkpoint.size, tree);
        let whole = manifest.scope == Scope::Whole;
        let is_log = whole && span.first == 1 && span.records == checkpoint.size;
        let mut follow = is_log.then(|| LedgerCheck::of(self.log_keys.clone(), None));
        let mut walk = Walk { filter, whole, ..Walk::new() };
        let mut lines = match Lines::open(self.files, RECORDS, RECORD_SALTS) {
            Ok(lines) => lines,
            Err(fault) => return self.line_fault(RECORDS, RECORD_SALTS, fault),
        };
        let mut next = self.advance(&mut lines);
        let mut seq = span.first;
        while seq < span.end() {
            progress(seq - span.first);
            while let Some((early, _)) = next.as_ref().filter(|(record, _)| record.seq < seq) {
                self.found.fault(RECORDS, Some(early.seq), Wrong::Misplaced);
                next = self.advance(&mut lines);
            }
            let leaf = match tree.leaf(seq) {
                Ok(leaf) => Some(leaf),
                Err((file, wrong @ (Wrong::Io(_) | Wrong::TileForm(_) | Wrong::Beyond { .. }))) => {
                    // One fault for a tile that is not there.
                    self.found.fault(&file, Some(seq), wrong);
                    seq = (seq - 1).next_multiple_of(TILE_WIDTH).max(seq) + 1;
                    continue;
                }
                Err((file, wrong)) => {
                    self.found.fault(&file, Some(seq), wrong);
                    None
                }
            };
            if let Some(leaf) = &leaf {
                walk.leaf(leaf, &manifest.emitter, &mut self.found);
            }
            match next.take_if(|(record, _)| record.seq == seq) {
                Some((record, line)) => {
                    let leaf = leaf.as_ref().filter(|leaf| self.proved(&record, &line, RECORDS, leaf));
                    if leaf.is_some() {
                        self.included(&record, &mut walk);
                        if let Some(follow) = &mut follow {
                            follow.signed(line.start, &record);
                        }
                    }
                    next = self.advance(&mut lines);
                }
                None => self.left_out(seq, leaf.as_ref(), &walk),
            }
            seq += 1;
        }
        while let Some((record, _)) = &next {
            self.found.fault(RECORDS, Some(record.seq), Wrong::Misplaced);
            next = self.advance(&mut lines);
        }
        if let Some(follow) = follow {
            self.follow(follow);
        }
        self.claims(manifest, walk);
    }

    /// That the population begins and ends where the filter does: what is next to it certainly does not match.
    fn ends(&mut self, filter: &Filter, first: u64, end: u64, size: u64, tree: &mut Tree<'_>) {
        let bounds = filter.bounds();
        let mut neighbour = |seq: u64, is_outside: &dyn Fn(&Leaf) -> bool| match tree.leaf(seq) {
            Ok(leaf) if is_outside(&leaf) => {}
            Ok(_) => self.found.fault(MANIFEST, None, Wrong::Short { seq }),
            Err((file, wrong)) => self.found.fault(&file, Some(seq), wrong),
        };
        if first > 1 {
            neighbour(first - 1, &|leaf| bounds.is_before(leaf));
        }
        if end <= size {
            neighbour(end, &|leaf| bounds.is_after(leaf));
        }
    }

    /// The next record that can be read.
    fn advance(&mut self, lines: &mut Lines<'_>) -> Option<(Box<Record>, Line)> {
        loop {
            match self.next_record(lines, RECORDS, RECORD_SALTS) {
                Next::End | Next::Broken => return None,
                Next::Fault => {}
                Next::Record(record, line) => return Some((record, line)),
            }
        }
    }

    /// Takes a record of the population.
    fn included(&mut self, record: &Record, walk: &mut Walk) {
        walk.records.add(record.record_type);
        walk.tally.take(record);
        if walk.filter.matches(record) {
            walk.selected.add(record.record_type);
        } else if !walk.whole {
            self.found.fault(RECORDS, Some(record.seq), Wrong::Unasked);
        }
        if let Some(Signer { person, key, signature, statement }) = signer(record) {
            self.needed.extend(self.keys.records(person, key));
            match self.keys.verify(record.seq, person, key, signature, &statement) {
                Ok(()) => self.report.signatures += 1,
                Err(flaw) => self.found.fault(RECORDS, Some(record.seq), Wrong::Signature(flaw)),
            }
        }
        if let Some(links) = self.links.get(&record.id) {
            self.needed.extend(links.iter().map(|(seq, _)| *seq));
            self.wanted.extend(links.iter().map(|(link_seq, link)| Attachment {
                enclosed: true,
                link_seq: *link_seq,
                record: record.id,
                sha256: link.sha256.clone(),
            }));
        }
    }

    /// Judges a record of the population that is not in the bundle by its public entry.
    fn left_out(&mut self, seq: u64, leaf: Option<&Leaf>, walk: &Walk) {
        let judged = if walk.whole { Some(true) } else { leaf.and_then(|leaf| walk.filter.judge(leaf)) };
        match judged {
            Some(true) => self.found.fault(RECORDS, Some(seq), Wrong::Missing),
            Some(false) => {}
            None => self.report.undecided += 1,
        }
    }

    /// What is wrong between the records of a whole log.
    fn follow(&mut self, follow: LedgerCheck<'_>) {
        self.report.followed = true;
        for finding in follow.finish().findings {
            // What is damaged was named already, and signatures were checked record by record.
            let known = matches!(
                &finding.flaw,
                Flaw::Sequence { .. } | Flaw::Approval(ReviewFlaw::Signature | ReviewFlaw::Key)
            );
            if !known {
                self.found.fault(RECORDS, finding.seq, Wrong::Flaw(Box::new(finding.flaw)));
            }
        }
    }

    fn claims(&mut self, manifest: &Manifest, walk: Walk) {
        self.claim("records", &manifest.records, &walk.records);
        self.claim("matching records", &manifest.selected, &walk.selected);
        if walk.whole {
            let population = walk.tally.finish(manifest.population.first_seq);
            self.claim("calls and pauses", &manifest.population, &population);
        } else {
            let found = Population { types: walk.types, ..manifest.population.clone() };
            self.claim("types in the population", &manifest.population, &found);
        }
    }

    /// That the records that stand beside are those that others need.
    fn beside(&mut self, manifest: &Manifest, (seqs, count): &(BTreeSet<u64>, Count)) {
        for Handover { seq, .. } in self.log_keys.clone().handovers() {
            if !self.needed.contains(seq) {
                self.found.fault(CONTEXT, Some(*seq), RotationError::Unrecorded.into());
            }
        }
        self.claim("records beside", &manifest.context, count);
        for seq in seqs.difference(&self.needed) {
            self.found.fault(CONTEXT, Some(*seq), Wrong::Needless);
        }
        if !self.needed.contains(&manifest.access_seq) {
            self.found.fault(CONTEXT, Some(manifest.access_seq), Wrong::Missing);
        }
    }

    fn attachments(&mut self, manifest: &Manifest, names: &[String]) {
        let claimed: BTreeSet<Attachment> =
            manifest.attachments.iter().cloned().map(|of| Attachment { enclosed: true, ..of }).collect();
        let wanted = std::mem::take(&mut self.wanted);
        self.claim("attachments", &claimed, &wanted);
        let sizes: BTreeMap<&str, u64> =
            self.links.values().flatten().map(|(_, link)| (link.sha256.as_str(), link.bytes)).collect();
        let digests: BTreeSet<&str> = wanted.iter().map(|of| of.sha256.as_str()).collect();
        let (mut good, mut faults) = (0, Vec::new());
        for name in names.iter().filter(|name| name.starts_with(ATTACHMENTS)) {
            let sha256 = name.strip_prefix(ATTACHMENTS).unwrap_or_default();
            match digest(self.files, name) {
                Ok((bytes, found))
                    if found == sha256 && digests.contains(sha256) && sizes.get(sha256) == Some(&bytes) =>
                {
                    good += 1;
                }
                Ok(_) => faults.push((name.clone(), Wrong::Attachment)),
                Err(error) => faults.push((name.clone(), error.into())),
            }
        }
        for of in manifest.attachments.iter().filter(|of| of.enclosed) {
            let name = format!("{ATTACHMENTS}{}", of.sha256);
            if names.binary_search(&name).is_err() {
                faults.push((name, Wrong::Io(io::ErrorKind::NotFound.into())));
            }
        }
        faults.into_iter().for_each(|(name, wrong)| self.found.fault(&name, None, wrong));
        self.report.attachments = good;
    }

    fn proofs(&mut self, names: &[String], note: &[u8], tree: &mut Tree<'_>) {
        for name in names.iter().filter(|name| name.starts_with(PROOFS)) {
            let seq = name.strip_prefix(PROOFS).and_then(|name| name.strip_suffix(PROOF_SUFFIX));
            let seq = seq.and_then(|seq| Some((seq, seq.parse::<u64>().ok()?)));
            let seq = seq.filter(|(text, seq)| seq.to_string() == *text).map(|(_, seq)| seq);
            let wrong = match (seq, read_file(self.files, name, PROOF_BYTES_MAX)) {
                (None, _) => Wrong::OtherProof,
                (Some(_), Err(error)) => error.into(),
                (Some(seq), Ok(bytes)) => match proved_by(&bytes, seq, note, &self.key, tree) {
                    Ok(()) => {
                        self.report.proofs += 1;
                        continue;
                    }
                    Err(wrong) => wrong,
                },
            };
            self.found.fault(name, seq, wrong);
        }
    }
}

/// Whether the log grew from an older checkpoint, as its tiles show.
fn grew(older: &Checkpoint, checkpoint: &Checkpoint, tree: &Tree<'_>) -> Result<(), Wrong> {
    let (old, new) = (older.size, checkpoint.size);
    if old > new {
        return Err(Wrong::Later { older: old, size: new });
    }
    let proof = consistency_proof(old, new, &tree.source()).map_err(Wrong::Unshown)?;
    verify_consistency(old, &older.root, new, &checkpoint.root, &proof).map_err(Wrong::Forked)
}

/// Whether these bytes are the proof of a record.
fn proved_by(bytes: &[u8], seq: u64, note: &[u8], key: &VerifierKey, tree: &mut Tree<'_>) -> Result<(), Wrong> {
    let proof = Proof::parse(bytes)?;
    if proof.index.checked_add(1) != Some(seq) || proof.checkpoint != note {
        return Err(Wrong::OtherProof);
    }
    let entry = tree.entry(seq).map_err(|(_, wrong)| wrong)?;
    proof.verify(entry, key)?;
    Ok(())
}

/// The next line of a file of records.
enum Next {
    /// There is none.
    End,
    /// It is no record; the one after it may be.
    Fault,
    /// Nothing further can be read.
    Broken,
    Record(Box<Record>, Line),
}

/// What was met on the way through the population.
struct Walk {
    filter: Filter,
    whole: bool,
    records: Count,
    selected: Count,
    tally: Tally,
    types: super::Types,
    previous: Timestamp,
}

impl Walk {
    fn new() -> Self {
        Self {
            filter: Filter::everything(),
            whole: false,
            records: Count::default(),
            selected: Count::default(),
            tally: Tally::default(),
            types: super::Types::new(),
            previous: Timestamp::EPOCH,
        }
    }

    fn leaf(&mut self, leaf: &Leaf, emitter: &str, found: &mut Found) {
        *self.types.entry(leaf.record_type).or_default() += 1;
        let at = leaf.id.minted_at();
        if leaf.emitter != emitter || at < self.previous {
            found.fault(TILES, Some(leaf.seq), Wrong::Foreign);
        }
        self.previous = at;
    }
}

/// Size and SHA-256 of a file.
fn digest(files: &dyn Files, name: &str) -> io::Result<(u64, String)> {
    let (mut file, mut hasher, mut bytes) = (files.open(name)?, Sha256::new(), 0);
    let mut part = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok((bytes, hex_text(&hasher.finalize().into())));
        }
        hasher.update(part.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}
