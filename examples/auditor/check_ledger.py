#!/usr/bin/env python3
"""Checks a Countersign ledger without Countersign: Python's standard library, and OpenSSL for the one signature.

    python3 check_ledger.py HOME [VKEY]

HOME is the gateway's home, or a copy. VKEY is the log's public key, as you have it from elsewhere; without it the home's own is used, which proves that the log is
whole, and not whose it is. The gateway may be running. It shares no code with the program: commitments and leaves are as docs/evidence.md has them, groups of records as the
head of crates/store/src/ledger/frame.rs says. Exit code 0: everything holds; 1: something does not.
"""

import base64
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

MAGIC = b"\xc5G\x011"  # starts a group of records
PAGE = 4096  # a segment's first page says whose it is


def check(holds, what):
    if not holds:
        sys.exit(f"does not hold: {what}")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def signed_size_and_root(note, vkey):
    """The size and root of a checkpoint (C2SP tlog-checkpoint), if its signature (C2SP signed-note) is good."""
    origin, key_id, key = vkey.strip().split("+", 2)
    key = base64.b64decode(key)
    check(key[0] == 1 and len(key) == 33, "the verifier key is Ed25519")
    check(sha256(origin.encode(), b"\n", key)[:4].hex() == key_id, "the verifier key has the id that it says")
    text, signatures = note.split("\n\n", 1)
    text += "\n"
    ours = [line.split(" ")[2] for line in signatures.splitlines() if line.startswith(f"\u2014 {origin} ")]
    # Where the log changes its key, one checkpoint has a signature of each.
    ours = [line for line in map(base64.b64decode, ours) if line[:4].hex() == key_id]
    check(len(ours) == 1, "the checkpoint has one signature by the verifier key")
    signature = ours[0]
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": bytes.fromhex("302a300506032b6570032100") + key[1:], "text": text.encode(), "signature": signature[4:]}
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature"
        verified = subprocess.run(command.split(), cwd=folder, capture_output=True, check=False)
    check(verified.returncode == 0, "OpenSSL accepts the checkpoint's signature")
    lines = text.splitlines()
    check(lines[0] == origin, "the checkpoint is of this log")
    return int(lines[1]), base64.b64decode(lines[2])


def records(home):
    """Number, salt and bytes of every record, in order, from the segment files."""
    want = 1
    for path in sorted(Path(home, "ledger/segments").glob("*.seg")):
        check(int(path.stem) == want, f"{path.name} starts with record {want}")
        data, at = path.read_bytes(), PAGE
        while data[at : at + 4] == MAGIC:
            length, first, count, crc = struct.unpack_from("<IQII", data, at + 4)
            body = data[at + 24 : at + 24 + length]
            if len(body) < length or zlib.crc32(data[at : at + 20] + body) != crc:
                break  # the group that is being written; what the checkpoint covers must come before it
            check(first == want, f"the group at byte {at} of {path.name} starts with record {want}")
            at, within = at + 24 + length, 0
            for _ in range(count):
                (size,) = struct.unpack_from("<I", body, within)
                yield want, body[within + 4 : within + 20], body[within + 20 : within + 20 + size]
                want, within = want + 1, within + 20 + size
            check(within == length, f"the group before byte {at} of {path.name} is filled by its records")


def entry(salt, record, parsed):
    """The leaf of a record: a salted commitment and what may be public."""
    leaf = {name: parsed[name] for name in ("emitter", "id", "schema", "seq", "type")}
    leaf["commitment"] = sha256(b"countersign record 1\0", salt, record).hex()
    return json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def published_entries(home, size):
    """The leaves as the log publishes them (C2SP tlog-tiles, entry bundles)."""
    for index in range((size + 255) // 256):
        groups = [f"{index // 1000**n % 1000:03}" for n in range(max(1, (len(str(index)) + 2) // 3))][::-1]
        name = "/".join([f"x{part}" for part in groups[:-1]] + groups[-1:])
        width = min(256, size - index * 256)
        path = Path(home, "ledger/tile/entries", name)
        data = (path if width == 256 or path.exists() else Path(f"{path}.p", str(width))).read_bytes()
        for _ in range(width):
            (length,) = struct.unpack_from(">H", data)
            yield data[2 : 2 + length]
            data = data[2 + length :]


def root(leaves):
    """RFC 6962, section 2.1."""
    stack = []  # (how many leaves, hash) of complete subtrees
    for leaf in leaves:
        node = (1, sha256(b"\0", leaf))
        while stack and stack[-1][0] == node[0]:
            left = stack.pop()
            node = (2 * node[0], sha256(b"\1", left[1], node[1]))
        stack.append(node)
    result = stack.pop()[1] if stack else sha256()
    while stack:
        result = sha256(b"\1", stack.pop()[1], result)
    return result


def check_ledger(home, vkey):
    # The checkpoint first: a log that is being written only grows beyond it.
    size, signed = signed_size_and_root(Path(home, "ledger/checkpoint").read_text(encoding="utf-8"), vkey)
    leaves, allowed, intended, ended = [], set(), set(), set()
    for seq, salt, record in records(home):
        parsed = json.loads(record)
        check(parsed["seq"] == seq, f"record {seq} says its number")
        leaves.append(entry(salt, record, parsed))
        call, body = parsed["correlation"].get("call"), parsed["body"]
        if parsed["type"] == "decision_record" and body["effect"] == "allow":
            allowed.add((call, body["input"]["args_sha256"]))
        elif parsed["type"] == "action_record" and body["event"] == "intent":
            check((call, body["args_sha256"]) in allowed, f"the intent in record {seq} was allowed before, with these arguments")
            check((call, body["attempt"]) not in intended, f"the intent in record {seq} is the only one for its attempt")
            intended.add((call, body["attempt"]))
        elif parsed["type"] == "action_record":
            check((call, body["attempt"]) in intended, f"the outcome in record {seq} had an intent before")
            ended.add((call, body["attempt"]))
    check(len(leaves) >= size, f"the log has the {size} records that are signed")
    check(root(leaves[:size]) == signed, "the records give the signed root")
    check(list(published_entries(home, size)) == leaves[:size], "the published entries are those of the records")
    print(f"{len(leaves)} records, {size} of them signed; {len(intended)} calls were executed, {len(intended - ended)} have no outcome yet")


def main():
    home = sys.argv[1]
    vkey = Path(sys.argv[2] if len(sys.argv) > 2 else f"{home}/keys/log.vkey").read_text(encoding="utf-8")
    for attempt in range(5):
        try:
            return check_ledger(home, vkey)
        except FileNotFoundError as missing:
            # A running gateway replaces the last, partial tiles with every checkpoint: look again at the newer one.
            check(attempt < 4, f"there is `{missing.filename}`")


main()
