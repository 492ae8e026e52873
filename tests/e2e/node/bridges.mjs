// Several bridges of one home at once: they share one gateway, one ledger and one run, and every call is in the evidence once.
//
//   node bridges.mjs --bridges '[{"server": NAME, "wrapped": SIDE}, ...]' --audit '["countersign", "audit", ...]' --scratch DIR

import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";

import { loadCases } from "./cases.mjs";
import { BARE, connect } from "./session.mjs";
import { Tap } from "./tap.mjs";

const CALLS = 20;
const HARMLESS = { everything: ["echo", { message: "hello" }], filesystem: ["list_allowed_directories", {}], memory: ["read_graph", {}] };

const { values: options } = parseArgs({ options: { bridges: { type: "string" }, audit: { type: "string" }, scratch: { type: "string" } } });
const tap = new Tap();

const before = new Set(actions().map(({ id }) => id));
const sessions = await Promise.all(JSON.parse(options.bridges).map(open));
const answers = await Promise.all(sessions.map(callOften));
await Promise.all(sessions.map(({ session }) => session.close()));
for (const [n, { server }] of sessions.entries()) {
  const bad = answers[n].filter(({ answer }) => !answer?.result || answer.result.isError);
  tap.check(`${server}: ${CALLS} calls at once are answered`, bad.length === 0, JSON.stringify(bad[0]));
}

const recorded = actions().filter(({ id }) => !before.has(id));
const wanted = CALLS * sessions.length;
for (const event of ["intent", "outcome"]) {
  const found = recorded.filter((record) => record.body.event === event);
  tap.check(`${wanted} ${event}s are in the evidence`, found.length === wanted, `${found.length}`);
}
const calls = new Set(recorded.map(({ correlation }) => correlation.call));
tap.check("every call has its own number", calls.size === wanted, `${calls.size}`);
const runs = new Set(recorded.map(({ correlation }) => correlation.run));
tap.check("all bridges acted in one run", runs.size === 1, [...runs].join(" "));
process.exit(tap.finish());

async function open({ server, wrapped }) {
  const cases = loadCases(server, `${options.scratch}-${server}`);
  cases.prepare();
  const command = wrapped.flatMap((part) => (part === "SERVER" ? cases.command : [part]));
  return { server, session: await connect({ command }, BARE) };
}

function callOften({ server, session }) {
  const [tool, args] = HARMLESS[server];
  return Promise.all(Array.from({ length: CALLS }, () => session.call(tool, args)));
}

// The audit writes one JSON record a line.
function actions() {
  const [command, ...args] = JSON.parse(options.audit);
  const text = execFileSync(command, [...args, "type:action_record"], { encoding: "utf8", maxBuffer: 256 * 1024 * 1024 });
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
