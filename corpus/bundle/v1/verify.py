#!/usr/bin/env python3
"""Verifies a bundle of evidence without Countersign: Python's standard library, and OpenSSL (or the package `cryptography`) for signatures.

    python3 verify.py BUNDLE KEY [OLDER_CHECKPOINT ...] [--witness=WITNESS_KEY ...] [--need=NUMBER]

BUNDLE is the folder or the tar file. KEY is a file with the log's public key, as you have it from elsewhere and not from the bundle; where the log changed its key, any of them. OLDER_CHECKPOINT is a checkpoint of the
log that you kept: the log must have grown from it. WITNESS_KEY is a file with the public key of a witness, which must have cosigned the checkpoint; of several, all or NUMBER of
them. It shares no code with the program: formats are as README.md says, and C2SP tlog-tiles, tlog-checkpoint, tlog-cosignature,
signed-note and tlog-proof. Exit code 0: everything holds; 1: something does not, and what is said for each.

It does not know the filter language: that the records are those that match the filter, it does not check. With a bundle of scope `whole` all records are here, so you can.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

WIDTH = 256  # of tiles
faults = []


def check(holds, where, what):
    if not holds:
        faults.append(f"{where}: {what}")
    return holds


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def signed(key, text, signature):
    """Whether an Ed25519 key of 32 bytes signed a text."""
    if len(key) != 32 or len(signature) != 64:
        return False
    if Ed25519PublicKey is not None:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
            return True
        except (InvalidSignature, ValueError):
            return False
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"key": bytes.fromhex("302a300506032b6570032100") + key, "text": text, "signature": signature}.items():
            Path(folder, name).write_bytes(content)
        command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature"
        return subprocess.run(command.split(), cwd=folder, capture_output=True, check=False).returncode == 0


class Folder:
    """The files of a bundle in a folder."""

    def __init__(self, path):
        self.path = Path(path)
        self.names = sorted(file.relative_to(path).as_posix() for file in self.path.rglob("*") if not file.is_dir())

    def open(self, name):
        return open(self.path / name, "rb")


class Tar:
    """The files of a bundle in a tar file."""

    def __init__(self, path):
        self.tar = tarfile.open(path, "r:")
        self.members = {member.name.removeprefix("./"): member for member in self.tar.getmembers() if member.isfile()}
        self.names = sorted(self.members)

    def open(self, name):
        if name not in self.members:
            raise FileNotFoundError(name)
        return self.tar.extractfile(self.members[name])


def read(files, name):
    with files.open(name) as file:
        return file.read()


def digests(files, manifest):
    """Every file is the one that the manifest speaks of, and there is no other."""
    listed = {file["name"]: file for file in manifest["files"]}
    for name in sorted(listed.keys() | set(files.names) - {"manifest.json"}):
        if not check(name in files.names, name, "it is missing") or not check(name in listed, name, "the manifest does not speak of it"):
            continue
        digest, size = hashlib.sha256(), 0
        with files.open(name) as file:
            while part := file.read(1 << 20):
                digest.update(part)
                size += len(part)
        same = (size, digest.hexdigest()) == (listed[name]["bytes"], listed[name]["sha256"])
        check(same, name, "it is not the file that the manifest speaks of")


def opened(note, vkey, where, check=check):
    """Size and root of a checkpoint that the log signed, or None."""
    origin, key_id, key = vkey.strip().split("+", 2)
    key = base64.b64decode(key)
    if not check(key[:1] == b"\1" and sha256(origin.encode(), b"\n", key)[:4].hex() == key_id, "the key", "it is no Ed25519 verifier key"):
        return None
    text, _, lines = note.decode().rpartition("\n\n")
    text += "\n"
    ours = [base64.b64decode(line.split(" ")[2]) for line in lines.splitlines() if line.startswith(f"\u2014 {origin} ")]
    ours = [line[4:] for line in ours if line[:4].hex() == key_id]
    if not check(ours and all(signed(key[1:], text.encode(), signature) for signature in ours), where, "the log did not sign it"):
        return None
    lines = text.splitlines()
    if not check(len(lines) == 3 and lines[0] == origin, where, "it is not a checkpoint of this log"):
        return None
    return int(lines[1]), base64.b64decode(lines[2])


def log_keys(files, vkey):
    """The keys of the log, one after the other, and where each but the last ended: record, keys, and a checkpoint that both signed."""
    keys, handovers = [read(files, "log.pub").decode().strip()], []
    for seq in sorted(int(name.removeprefix("handovers/")) for name in files.names if name.startswith("handovers/")):
        head, _, note = read(files, f"handovers/{seq}").partition(b"\n\n")
        where, (magic, record, old, new) = f"handovers/{seq}", head.decode().split("\n")
        by_old, by_new = opened(note, old, where), opened(note, new, where)
        good = magic == "countersign handover 1" and record == f"record {seq}" and by_old and by_old == by_new and by_old[0] >= seq
        if check(good and old.split("+")[0] == new.split("+")[0] and (not handovers or handovers[-1][2] == old), where, "the log's key was not handed over here"):
            handovers.append((seq, old, new, *by_old))
    if handovers:
        chain = [handovers[0][1]] + [new for _, _, new, _, _ in handovers]
        keys = chain if check(keys[0] in chain, "log.pub", "it is none of the keys that the log had") else keys
    check(vkey.strip() in keys, "log.pub", "it is not the key that you trust, and nothing leads from that to it")
    return keys, handovers


def handed_over(handovers, context, tree):
    """The log grew from where a key ended, and has a record there that names the next key, which signed that."""
    for seq, old, new, size, root in handovers:
        where = f"handovers/{seq}"
        check(size <= tree.size and tree.root_at(size) == root, where, "the log did not grow from it, or the bundle lacks the tiles that show it")
        body = next((record["body"] for record in context if record["seq"] == seq and record["type"] == "version_log"), {})
        named = body.get("object") == {"kind": "key", "name": "log"} and (body.get("from"), body.get("to")) == (old, new)
        signature = json.loads(body.get("state", "{}")).get("signature", "")
        said = f"countersign log key v1\n{old}\n{new}\n".encode()
        check(named and signed(base64.b64decode(new.split("+", 2)[2])[1:], said, base64.b64decode(signature)), where, "no record names the two keys")


def older_one(note, keys, handovers, where):
    """Size and root of a checkpoint that the log signed earlier: by its last key, or by an older one up to where that ended."""
    for key, end in zip(keys, [size for _, _, _, size, _ in handovers]):
        found = opened(note, key, where, lambda holds, *_: holds)
        if found and found[0] <= end:
            return found
    return opened(note, keys[-1], where)


def cosigned(note, witnesses, need):
    """The names of the witnesses who cosigned a checkpoint (C2SP tlog-cosignature, Ed25519)."""
    text, _, lines = note.decode().rpartition("\n\n")
    names, missing = [], []
    for vkey in witnesses:
        name, key_id, key = vkey.strip().split("+", 2)
        key = base64.b64decode(key)
        if not check(key[:1] == b"\4" and sha256(name.encode(), b"\n", key)[:4].hex() == key_id, name, "its key is no key of a witness"):
            continue
        ours = [base64.b64decode(line.split(" ")[2]) for line in lines.splitlines() if line.startswith(f"\u2014 {name} ")]
        ours = [line[4:] for line in ours if line[:4].hex() == key_id]
        said = lambda line: f"cosignature/v1\ntime {int.from_bytes(line[:8], 'big')}\n{text}\n".encode()
        if not ours:
            missing.append(f"{name} has not cosigned it")
        elif check(all(signed(key[1:], said(line), line[8:]) for line in ours), "checkpoint", f"the cosignature of {name} is false"):
            names.append(name)
    check(len(names) >= need, "checkpoint", f"{len(names)} of {need} witnesses that must have cosigned it: {', '.join(missing)}")
    return names


def root_of(hashes):
    """RFC 6962, section 2.1, over hashes of leaves or of complete subtrees of one size."""
    stack = []
    for count, node in enumerate(hashes, 1):
        while count % 2 == 0:
            node, count = sha256(b"\1", stack.pop(), node), count // 2
        stack.append(node)
    return stack


def joined(parts):
    """The root over complete subtrees, the largest first."""
    root = parts[-1] if parts else sha256()
    for left in reversed(parts[:-1]):
        root = sha256(b"\1", left, root)
    return root


class Tree:
    """The tiles of the bundle, held to the root that the log signed."""

    def __init__(self, files, size, root):
        self.files, self.size, self.kept = files, size, {}
        parts = []
        for level in range(7, -1, -1):
            if width := (size >> 8 * level) % WIDTH:
                parts += root_of(self.tile(level, size >> 8 * (level + 1))[:width])
        check(joined(parts) == root, "checkpoint", "the tiles do not give the root that the log signed")
        for name in files.names:
            if name.startswith("tile/"):
                self.leads_up(name)

    def name(self, level, index):
        """The path of a tile in this tree (C2SP tlog-tiles), and how much is in it."""
        held = self.size if level == "entries" else self.size >> 8 * level
        width = max(0, min(WIDTH, held - index * WIDTH))
        digits = str(index).zfill((len(str(index)) + 2) // 3 * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
        return f"tile/{level}/{path}" + (f".p/{width}" if width < WIDTH else ""), width

    def tile(self, level, index):
        """The hashes, or the entries, of a tile; none where it is missing or of another size."""
        if self.kept.get(level, (None,))[0] != index:
            name, width = self.name(level, index)
            data = read(self.files, name) if name in self.files.names else b""
            if level == "entries":
                held = []
                while data:
                    length = int.from_bytes(data[:2], "big")
                    held.append(data[2 : 2 + length])
                    data = data[2 + length :]
            else:
                held = [data[at : at + 32] for at in range(0, len(data), 32)]
            self.kept[level] = (index, held if check(len(held) == width, name, "it is missing, or not a whole tile") else [])
        return self.kept[level][1]

    def hash(self, level, index):
        held = self.tile(level, index // WIDTH)
        return held[index % WIDTH] if index % WIDTH < len(held) else None

    def leads_up(self, name):
        """A tile is what the tile above it says; those at the right edge gave the root."""
        _, level, *path = name.removesuffix("/" + name.split(".p/")[-1] if ".p/" in name else "").removesuffix(".p").split("/")
        index = int("".join(part.removeprefix("x") for part in path))
        level = level if level == "entries" else int(level)
        if not check(self.name(level, index)[0] == name, name, f"it is not a tile of a log of {self.size} records"):
            return
        if level == "entries":
            for number, entry in enumerate(self.tile(level, index), index * WIDTH):
                check(self.hash(0, number) == sha256(b"\0", entry), name, f"the entry of record {number + 1} is not the one that was signed")
        elif ".p/" not in name:
            check(root_of(self.tile(level, index)) == [self.hash(level + 1, index)], name, "it is not the tile that was signed")

    def entry(self, seq):
        held = self.tile("entries", (seq - 1) // WIDTH)
        return held[(seq - 1) % WIDTH] if 0 < seq <= self.size and (seq - 1) % WIDTH < len(held) else None

    def node(self, level, index):
        """Any node of the tree that is complete."""
        tile, above = divmod(level, 8)
        return root_of([self.hash(tile, (index << above) + at) or b"" for at in range(1 << above)])[0]

    def root_at(self, size):
        """The root that the tree had at an earlier size, made of nodes of the tree that is signed now: equal only if the log grew."""
        parts, at = [], 0
        for level in range(63, -1, -1):
            if size >> level & 1:
                parts.append(self.node(level, at >> level))
                at += 1 << level
        return joined(parts)


def canonical(value):
    """RFC 8785, for what records hold: no fractions, and names of ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def records(files, name, tree):
    """The records of a file that the log has signed, each held to its entry."""
    last = 0
    with files.open(f"{name}.jsonl") as lines, files.open(f"{name}.salts") as salts:
        for number, line in enumerate(lines, 1):
            where, salt = f"{name}.jsonl line {number}", salts.readline()
            try:
                record = json.loads(line)
                leaf = {field: record[field] for field in ("emitter", "id", "schema", "seq", "type")}
                leaf["commitment"] = sha256(b"countersign record 1\0", bytes.fromhex(salt.decode().rstrip("\n")), line.removesuffix(b"\n")).hex()
            except (ValueError, KeyError, TypeError):
                check(False, where, "it is not a record with a salt")
                continue
            check(record["seq"] > last, where, "records stand in order, each once")
            last = record["seq"]
            if check(tree.entry(record["seq"]) == canonical(leaf), where, f"it is not the record that was signed under the number {record['seq']}"):
                yield record
        check(not salts.read(1), f"{name}.salts", "there are more salts than records")


def statement(record):
    """Who signed what a record says: person, key, signature and what was signed; or None."""
    body, digest = record["body"], lambda text: hashlib.sha256(text.encode()).hexdigest()
    if record["type"] == "approval_record" and "signature" in body.get("review", {}):
        review = body["review"]
        fields = {name: review[name] for name in ("answer", "nonce", "on_behalf_of", "proposed_sha256", "reviewer", "shown_sha256", "signed_at", "ticket") if name in review}
        fields |= {name: body[name] for name in ("approval", "call_sha256", "gates_sha256")} | {"reason_sha256": digest(review["reason"]), "v": 1}
        return review["reviewer"], review["key"], review["signature"], b"countersign review v1\n" + canonical(fields)
    if record["type"] == "exception_record" and "signed" in body:
        by = body["signed"]
        fields = {"event": body["event"], "exception": body["exception"], "nonce": by["nonce"], "note_sha256": digest(body.get("note", ""))}
        fields |= {"signed_at": by["signed_at"], "v": 1, "who": body.get("who", "")}
        return body.get("who", ""), by["key"], by["signature"], b"countersign exception v1\n" + canonical(fields)
    return None


def count(counted, record):
    counted[record["type"]] = counted.get(record["type"], 0) + 1


def claims(manifest, name, types):
    claimed = manifest[name]
    check((claimed["types"], claimed["records"]) == (types, sum(types.values())), "manifest.json", f"it claims other `{name}` than there are")


def people(context):
    """The keys with which people signed, by name: from which record on, and the key."""
    keys = {}
    for record in context:
        what = record["body"].get("object", {})
        if record["type"] == "version_log" and what["kind"] == "key" and what["name"].startswith("person/"):
            state = json.loads(record["body"].get("state", "{}")) if record["body"]["to"] == "confirmed" else {}
            keys.setdefault(what["name"].removeprefix("person/"), []).append((record["seq"], state.get("public")))
    return keys


def verify(files, vkey, older, witnesses, need):
    manifest = json.loads(read(files, "manifest.json"))
    digests(files, manifest)
    keys, handovers = log_keys(files, vkey)
    note = read(files, "checkpoint")
    if vkey.strip() not in keys or (head := opened(note, keys[-1], "checkpoint")) is None:
        return "nothing further can be checked"
    size, root = head
    names = cosigned(note, witnesses, need)
    claimed = manifest["checkpoint"]
    check((claimed["size"], claimed["root"]) == (size, root.hex()), "manifest.json", "it claims another checkpoint")
    tree = Tree(files, size, root)
    for path in older:
        if (kept := older_one(Path(path).read_bytes(), keys, handovers, path)) and check(kept[0] <= size, path, "it is later than the bundle"):
            check(tree.root_at(kept[0]) == kept[1], path, "the log did not grow from it, or the bundle lacks the tiles that show it")

    context = list(records(files, "context", tree))
    counted = {}
    for record in context:
        count(counted, record)
    claims(manifest, "context", counted)
    export = next((record for record in context if record["seq"] == manifest["access_seq"] and record["type"] == "evidence_access"), None)
    said = export and [export["body"].get("filter"), export["body"]["who"], export["body"]["why"], export["occurred_at"]]
    check(said == [manifest[name] for name in ("filter", "created_by", "why", "created_at")], "manifest.json", "the record of the export says something else")
    handed_over(handovers, context, tree)
    signers, links = people(context), {}
    for record in context:
        if record["type"] == "version_log" and record["body"]["object"]["kind"] == "attachment":
            links.setdefault(record["body"]["object"]["name"], []).extend(link["sha256"] for link in record["links"])

    population, ids, here, counted, signatures = manifest["population"], set(), set(), {}, 0
    first, end = population["first_seq"], population["first_seq"] + population["records"]
    for record in records(files, "records", tree):
        where = f"record {record['seq']}"
        check(first <= record["seq"] < end, where, "it is outside of the population")
        count(counted, record)
        here.add(record["seq"])
        ids.add(record["id"])
        if by := statement(record):
            person, key, signature, text = by
            then = [public for seq, public in signers.get(f"{person}/{key}", []) if seq < record["seq"]]
            good = bool(then and then[-1]) and signed(base64.b64decode(then[-1]), text, base64.b64decode(signature))
            signatures += check(good, where, f"the signature is not one of the key {person}/{key}")
    claims(manifest, "records", counted)

    types, before, absent = {}, "", {}
    for seq in range(first, end):
        entry = json.loads(tree.entry(seq) or b"null")
        if not check(entry is not None and entry["seq"] == seq, f"record {seq}", "its entry is missing, or says another number"):
            break
        check(entry["emitter"] == manifest["emitter"] and entry["id"][:13] >= before, f"record {seq}", "its entry is of another log, or its time went back")
        before = entry["id"][:13]
        count(types, entry)
        if seq not in here:
            count(absent, entry)
    claims(manifest, "population", types)
    check(manifest["scope"] != "whole" or not absent, "records.jsonl", "not all of the population is in it")

    wanted = {digest for record, digests in links.items() if record in ids for digest in digests}
    check(wanted == {of["sha256"] for of in manifest["attachments"]}, "manifest.json", "it claims other attachments than the records link")
    for name in files.names:
        if name.startswith("attachments/"):
            digest = name.removeprefix("attachments/")
            check(digest in wanted and hashlib.sha256(read(files, name)).hexdigest() == digest, name, "it is not a file that a record links")
        elif name.startswith("proofs/"):
            text, _, checkpoint = read(files, name).partition(b"\n\n")
            magic, index, *hashes = text.decode().split("\n")
            seq = int(Path(name).name.removesuffix(".tlog-proof"))
            good = magic == "c2sp.org/tlog-proof@v1" and index == f"index {seq - 1}" and checkpoint == note
            check(good and included(tree.entry(seq), seq - 1, size, [base64.b64decode(each) for each in hashes]) == root, name, "it does not prove the record")
    by = f"; cosigned by {', '.join(names)}" if names else ""
    left = ", ".join(f"{number} {kind}" for kind, number in sorted(absent.items())) or "none"
    return f"{len(here)} records and {len(context)} beside them, under a checkpoint of {size}{by}; {signatures} signatures of people; of the population from {first} to {end - 1} not in the bundle: {left}"


def included(entry, index, size, path):
    """RFC 9162, section 2.1.3.2: the root to which a proof leads."""
    node, last = sha256(b"\0", entry or b""), size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = sha256(b"\1", sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\1", node, sibling)
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    _, bundle, key, *more = sys.argv
    option = lambda name: [each.removeprefix(f"--{name}=") for each in more if each.startswith(f"--{name}=")]
    older = [each for each in more if not each.startswith("--")]
    witnesses = [Path(path).read_text(encoding="utf-8") for path in option("witness")]
    need = int((option("need") or [len(witnesses)])[0])
    files = Folder(bundle) if Path(bundle).is_dir() else Tar(bundle)
    try:
        summary = verify(files, Path(key).read_text(encoding="utf-8"), older, witnesses, need)
    except (KeyError, ValueError, TypeError, IndexError, OSError) as damage:
        faults.append(f"a file is missing or has another form than it must: {damage!r}")
        summary = "nothing further can be checked"
    for fault in faults:
        print(f"does not hold: {fault}")
    print(summary)
    sys.exit(1 if faults else 0)


main()
