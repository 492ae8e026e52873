// A raw client of each older revision, against server-everything: the same bytes back through the gateway as direct.
//
//   node revisions.mjs --direct SIDE --wrapped SIDE --scratch DIR
//
// A SIDE is as for parity.mjs. No SDK speaks these revisions any more, so the client is a few lines of JSON.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { isDeepStrictEqual, parseArgs } from "node:util";

import { loadCases } from "./cases.mjs";
import { Tap } from "./tap.mjs";

const WAIT_MS = 20_000;
const HTTP = ["2025-06-18", "2025-03-26"];
const STDIO = [...HTTP, "2024-11-05"];
const ECHO = (id, message) => ({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "echo", arguments: { message } } });

const { values: options } = parseArgs({ options: { direct: { type: "string" }, wrapped: { type: "string" }, scratch: { type: "string" } } });
const tap = new Tap();
const server = loadCases("everything", options.scratch);
const [direct, wrapped] = [JSON.parse(options.direct), JSON.parse(options.wrapped)];

// What a session of `revision` hears.
async function told(side, revision) {
  const client = await open(side, revision);
  const answers = [client.opened];
  for (const [method, params] of [["ping", {}], ["tools/list", {}], ["resources/list", {}], ["prompts/list", {}]]) {
    answers.push(...(await client.ask({ jsonrpc: "2.0", id: method, method, params }, [method])));
  }
  answers.push(...(await client.ask(ECHO(1, "hello"), [1])), ...(await client.ask(ECHO(2, 7), [2])));
  await client.close();
  return answers;
}

async function open(side, revision) {
  server.prepare();
  const client = Array.isArray(side) ? new OverStdio(side) : new OverHttp(side, revision);
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: "older", version: "1.0.0" } };
  const [opened] = await client.ask({ jsonrpc: "2.0", id: 0, method: "initialize", params }, [0]);
  client.opened = opened?.result;
  await client.ask({ jsonrpc: "2.0", method: "notifications/initialized" }, []);
  return client;
}

// Answers wanted: those of these ids, `null` for one without. Enough once a message without an id has come, or all others.
class Wanted {
  constructor(ids) {
    this.left = new Set(ids);
    this.found = [];
  }

  take(message) {
    for (const one of [message].flat()) {
      if (one.method !== undefined || !this.left.delete(one.id)) continue;
      this.found.push(one);
      if (one.id === null) this.left.clear();
    }
    return this.left.size === 0 || (this.left.size === 1 && this.left.has(null));
  }
}

class OverStdio {
  #child;
  #take = () => {};

  constructor(side) {
    const [command, ...args] = side.flatMap((part) => (part === "SERVER" ? server.command : [part]));
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#take(JSON.parse(line)));
  }

  ask(message, ids) {
    const wanted = new Wanted(ids);
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
    if (ids.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(wanted.found), WAIT_MS);
      this.#take = (answer) => {
        if (!wanted.take(answer)) return;
        clearTimeout(timer);
        resolve(wanted.found);
      };
    });
  }

  close() {
    const ended = new Promise((resolve) => this.#child.on("exit", resolve));
    this.#child.stdin.end();
    return ended;
  }
}

class OverHttp {
  #headers;
  #revision;
  #url;

  constructor({ url, token }, revision) {
    this.#url = url;
    this.#revision = revision;
    this.#headers = { "content-type": "application/json", accept: "application/json, text/event-stream", ...(token && { authorization: `Bearer ${token}` }) };
  }

  async ask(message, ids) {
    const response = await fetch(this.#url, { method: "POST", headers: this.#headers, body: JSON.stringify(message), signal: AbortSignal.timeout(WAIT_MS) });
    const session = response.headers.get("mcp-session-id");
    if (session) {
      this.#headers["mcp-session-id"] = session;
      // Revision 2025-03-26 knows no such header.
      if (this.#revision !== "2025-03-26") this.#headers["mcp-protocol-version"] = this.#revision;
    }
    const wanted = new Wanted(ids);
    const text = await response.text();
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    const messages = isStream ? text.split("\n").filter((line) => line.startsWith("data: {") || line.startsWith("data: [")).map((line) => line.slice(6)) : [text];
    messages.filter((one) => one !== "").forEach((one) => wanted.take(JSON.parse(one)));
    return wanted.found;
  }

  close() {
    return fetch(this.#url, { method: "DELETE", headers: this.#headers });
  }
}

for (const revision of Array.isArray(wrapped) ? STDIO : HTTP) {
  const [a, b] = [await told(direct, revision), await told(wrapped, revision)];
  tap.check(`${revision}: the same as direct`, a[0]?.protocolVersion === revision && isDeepStrictEqual(a, b), `direct:  ${JSON.stringify(a)}\nwrapped: ${JSON.stringify(b)}`);
  const client = await open(wrapped, revision);
  const answers = await client.ask([ECHO("a", "one"), { jsonrpc: "2.0", method: "notifications/roots/list_changed" }, ECHO("b", "two")], ["a", "b", null]);
  const said = answers.map(({ id, result, error }) => `${id} ${error?.message ?? result.content[0].text}`).sort().join("; ");
  const expected = revision === "2025-03-26" ? /^a Echo: one; b Echo: two$/ : /^null an array of messages; .*2025-03-26/;
  tap.check(`${revision}: a batch is ${revision === "2025-03-26" ? "two calls" : "refused"}`, expected.test(said), said);
  await client.close();
}
process.exit(tap.finish());
