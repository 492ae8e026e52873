// A client as it is, with its own time-outs, whose calls wait for people: the same as ../python/approvals.py, with the TypeScript client.
//
//   node approvals.mjs --server NAME --scratch DIR --wrapped SIDE --sdk 1|2 --tool NAME --args JSON --countersign PATH --home DIR --keys JSON [--beside COMMAND]
//
// People take their time, so another client may run beside: COMMAND is a JSON list, and its checks count as well.

import { execFile, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";

import { loadCases } from "./cases.mjs";
import { SDKS } from "./session.mjs";
import { Tap } from "./tap.mjs";

const SOON_MS = 5_000;
const LATE_MS = 90_000;
const ROUNDS_MAX = 6;

const names = ["beside", "server", "scratch", "wrapped", "sdk", "tool", "args", "countersign", "home", "keys"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const [args, keys] = [JSON.parse(options.args), JSON.parse(options.keys)];
const sdk = SDKS[options.sdk];
const tap = new Tap();
const beside = options.beside ? started(JSON.parse(options.beside)) : 0;

const cases = loadCases(options.server, options.scratch);
cases.prepare();
const [command, ...words] = JSON.parse(options.wrapped).flatMap((part) => (part === "SERVER" ? cases.command : [part]));
const client = new sdk.Client({ name: "countersign-e2e", version: "1.0.0" }, { capabilities: {} });
await client.connect(new sdk.StdioClientTransport({ command, args: words, stderr: "ignore" }));

const [soon] = await Promise.all([insist(1), answer("approve", SOON_MS)]);
tap.check("soon approved: the call is answered", !soon.result.isError, JSON.stringify(soon));
tap.check("soon approved: it was held, and the client saw nothing of it", soon.took >= SOON_MS && soon.pending.length === 0, JSON.stringify(soon));

const [late] = await Promise.all([insist(2), answer("approve", LATE_MS)]);
tap.check("late approved: the call is answered", !late.result.isError, JSON.stringify(late));
tap.check("late approved: it took as long as people", late.took >= LATE_MS, `${late.took}`);
tap.check("late approved: the client was told that it waits", late.pending.length > 0, JSON.stringify(late));
tap.check("late approved: of one approval", new Set(late.pending.map(({ approval }) => approval)).size === 1, JSON.stringify(late));

const [refused] = await Promise.all([insist(3), answer("deny", 0)]);
tap.check("refused: the call is an error of the tool", refused.result.isError && refused.pending.length === 0, JSON.stringify(refused));
tap.check("refused: with the reason of whoever refused", JSON.stringify(refused).includes("looked at it"), JSON.stringify(refused));
await client.close();
process.exit(Math.max(await beside, tap.finish()));

// Runs a program, whose lines are ours; its exit code.
function started([program, ...args]) {
  return new Promise((resolve) => spawn(program, args, { stdio: "inherit" }).on("close", resolve));
}

// Sends the same call until it is answered, as a model does that is told to.
async function insist(number) {
  const began = Date.now();
  const pending = [];
  for (;;) {
    const result = await client.callTool({ name: options.tool, arguments: numbered(args, number) });
    const told = result._meta?.["countersign.dev/approval"];
    if (!told) return { result, pending, took: Date.now() - began };
    pending.push(told);
    if (pending.length >= ROUNDS_MAX) throw new Error("the call is never answered");
  }
}

// Waits for a question, lets some time pass, and has everybody answer it.
async function answer(word, afterMs) {
  let asked = [];
  while (asked.length === 0) {
    await sleep(200);
    asked = (await run("approvals", "list", "--format", "json")).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }
  await sleep(afterMs);
  for (const key of word === "deny" ? keys.slice(0, 1) : keys) {
    await run("approvals", word, asked[0].approval, "--why", "looked at it", "--key", key);
  }
}

async function run(...args) {
  const { stdout } = await promisify(execFile)(options.countersign, [...args, "--home", options.home]);
  return stdout;
}

// Arguments with a number in the place of N, so that each round is another call.
function numbered(value, number) {
  if (Array.isArray(value)) return value.map((item) => numbered(item, number));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, numbered(member, number)]));
  if (value === "N") return number;
  return typeof value === "string" ? value.replaceAll("N", `${number}`) : value;
}
