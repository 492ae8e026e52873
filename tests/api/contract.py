"""The person of crates/xtask/src/api.rs: has calls wait, opens a session with a device key, and starts Schemathesis.

The key's file is opened here as the program writes it, so that its form is held to by a second reader."""

import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import duckdb
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from collector import Collector

QUESTIONS = 60
FEED_SECONDS = 60
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS_PER_RUN = 30


def told(words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


def enrol(options, person, key, confirming):
    countersign = lambda *words: told([options.countersign, *words, "--home", options.home])
    code = countersign("people", "invite", person)
    id = countersign("people", "enrol", person, "--code", code, "--key", key)
    signed = ["--key", confirming] if confirming else []
    countersign("people", "confirm", person, id, "--why", "seen in person", *signed)


def ask(options):
    """Has calls wait: each is a question."""
    words = [options.countersign, "mcp", "--mission", "mission.toml", "--home", options.home, "--"]
    words += [options.upstream, "--stdio", "--effects", "effects"]
    bridge = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(message):
        bridge.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        bridge.stdin.flush()

    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "contract", "version": "1"}}
    def answer():
        return json.loads(bridge.stdout.readline())

    send({"id": 0, "method": "initialize", "params": client})
    while answer().get("id") != 0:
        pass
    send({"method": "notifications/initialized"})
    for number in range(1, QUESTIONS + 1):
        send({"id": number, "method": "tools/call", "params": {"name": "effect", "arguments": {"key": f"q{number}"}}})
    waiting = set(range(1, QUESTIONS + 1))
    while waiting:
        told = answer()
        if told.get("id") in waiting:
            assert "countersign.dev/approval" in told["result"]["_meta"], told
            waiting.remove(told["id"])
    meta = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    send({"id": "last", "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "hi"}, "_meta": meta}})
    while answer().get("id") != "last":
        pass
    bridge.stdin.close()
    bridge.wait()


def opened(path):
    """The key in a file, and its id."""
    kept = json.load(open(path))
    unsealed = lambda name: base64.b64decode(kept[name])
    passphrase = os.environ["COUNTERSIGN_PASSPHRASE"].encode()
    sealing = hashlib.pbkdf2_hmac("sha256", passphrase, unsealed("salt"), kept["rounds"])
    bound = f"countersign device key v1\n{kept['person']}\n{kept['public']}".encode()
    key = Ed25519PrivateKey.from_private_bytes(AESGCM(sealing).decrypt(unsealed("nonce"), unsealed("sealed"), bound))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key, hashlib.sha256(public).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def call(options, path, body=None, token=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = canonical(body) if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(f"http://{options.console}{path}", data, headers)) as answer:
        return json.load(answer)


def session(options, person, key, id):
    challenge = call(options, "/v1/sessions/challenges", {"person": person})["challenge"]
    asked = {"audience": f"http://{options.console}", "challenge": challenge, "key": id, "person": person, "v": 1}
    signature = base64.b64encode(key.sign(b"countersign session v1\n" + canonical(asked))).decode()
    login = {"challenge": challenge, "key": id, "person": person, "signature": signature}
    return call(options, "/v1/sessions", login)["token"]


def check(label, holds, said=""):
    print(f"{'ok' if holds else 'not ok'} - {label}")
    if not holds:
        print(said)
    return holds


def schemathesis(options, label, token, config, *words):
    """Everything but what never ends by itself, and what ends the session."""
    with open("schemathesis.toml", "w") as file:
        file.write(config)
    program = str(pathlib.Path(sys.executable).parent / "schemathesis")
    run = [program, "--config-file", "schemathesis.toml", "--no-color", "run"]
    run += [f"http://{options.console}/v1/openapi.json", "--header", f"Authorization: Bearer {token}"]
    run += ["--checks", "all", "--exclude-operation-id", "listen", "--exclude-operation-id", "follow_records", "--exclude-operation-id", "close_session"]
    run += ["--max-time", str(SECONDS_PER_RUN), "--seed", "7", *words]
    done = subprocess.run(run, capture_output=True, text=True)
    return check(label, done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:])


def fed(collector):
    """Whether a collector of OpenTelemetry was told of every record since the first that it was told of, of every question, and of the call that ran."""
    deadline = time.monotonic() + FEED_SECONDS
    while not collector.spans and not collector.wrong and time.monotonic() < deadline:
        time.sleep(0.2)
    logs, spans = dict(collector.logs), list(collector.spans.values())
    asked = sum(log.event_name == "countersign.approval_record" for log in logs.values())
    whole = bool(logs) and len(logs) == max(logs) - min(logs) + 1 and asked >= QUESTIONS
    traced = [(span.trace_id.hex(), span.name) for span in spans] == [(TRACE, "tools/call echo")]
    said = f"{len(logs)} records, {asked} about approvals, {spans}; {collector.wrong[:3]}"
    return check("a collector of OpenTelemetry reads what it is told, which is everything", whole and traced and not collector.wrong, said)


def tabled(options):
    """Whether DuckDB reads from a file of Parquet what the ledger has."""
    audit = [options.countersign, "audit", "seq:1..500", "--limit", "0", "--home", options.home, "--format"]
    records = [json.loads(line) for line in told([*audit, "json"]).splitlines()]
    told([*audit, "parquet", "--out", "records.parquet"])
    columns = "seq, id, recorded_at AT TIME ZONE 'UTC', occurred_at AT TIME ZONE 'UTC', type, mission, run, call, agent, initiator, authenticated, classes, trace, emitter, schema, links, body"
    rows = duckdb.sql(f"SELECT {columns} FROM 'records.parquet' ORDER BY seq").fetchall()

    def row(record):
        at = lambda name: datetime.datetime.fromisoformat(record[name].removesuffix("Z"))
        of = lambda name: record["correlation"].get(name)
        who = record["initiator"]
        return (record["seq"], record["id"], at("recorded_at"), at("occurred_at"), record["type"], of("mission"), of("run"), of("call"), record["agent"]["name"],
            who["name"], who["authenticated"], ",".join(record["data_classes"]), of("trace"), record["emitter"], record["schema"], record["links"], record["body"])

    wanted = [row(record) for record in records]
    came = [(*row[:15], json.loads(row[15]), json.loads(row[16])) for row in rows]
    wrong = next((pair for pair in zip(came, wanted) if pair[0] != pair[1]), None)
    [sums] = duckdb.sql("SELECT count(*), count(body->>'$.effect') FROM 'records.parquet' WHERE type = 'decision_record'").fetchall()
    holds = came == wanted and len(came) > QUESTIONS and sums[0] == sums[1] > QUESTIONS
    return check("DuckDB reads a file of Parquet as the ledger has it", holds, f"{len(came)} of {len(wanted)}; {sums}; {wrong}")


def main():
    parser = argparse.ArgumentParser()
    for name in ["console", "home", "countersign", "upstream", "checked-in"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--collector", required=True, type=int)
    options = parser.parse_args()
    collector = Collector(options.collector)
    enrol(options, "ana", "ana.key", None)
    enrol(options, "carl", "carl.key", "ana.key")
    ask(options)
    key, id = opened("ana.key")
    token = session(options, "ana", key, id)
    holds = check("a second reader opens the key, and the key a session", True)
    described = call(options, "/v1/openapi.json", token=token)
    holds &= check("the description is the one that is checked in", described == json.load(open(options.checked_in)))
    waiting = call(options, f"/v1/approvals?state=open&mine=true&limit={QUESTIONS}", token=token)["approvals"]
    holds &= check("every question waits for this person", len(waiting) == QUESTIONS, f"{len(waiting)} wait")
    holds &= fed(collector)
    holds &= tabled(options)
    holds &= schemathesis(options, "requests of all kinds, about approvals that there are not", token, "")
    known = f'[parameters]\n"path.id" = "{waiting[0]["approval"]}"\n'
    holds &= schemathesis(options, "requests about one that there is", token, known, "--include-path-regex", "/v1/approvals/")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
