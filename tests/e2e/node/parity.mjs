// Asks the same of a server twice, once directly and once through the gateway, and requires the same bytes back.
//
//   node parity.mjs --server NAME --direct SIDE [--wrapped SIDE] --scratch DIR [--profile full|bare] [--sdk 1|2]
//
// A SIDE is a JSON list, the command of a stdio server ("SERVER" in it stands for the server's own command), or a JSON object
// {"url": ..., "token": ...} for Streamable HTTP. Without --wrapped the server is compared with itself, which tests this script.

import { isDeepStrictEqual, parseArgs } from "node:util";

import { everything } from "./beyond-everything.mjs";
import { memory } from "./beyond-memory.mjs";
import { loadCases } from "./cases.mjs";
import { RULES, settle } from "./nondeterminism.mjs";
import { BARE, FULL, SDKS, connect } from "./session.mjs";
import { Tap } from "./tap.mjs";

// What there is to ask beyond the tools of a server.
const BEYOND = { everything, filesystem: async () => {}, memory };
const EVERY_TOOL = "every offered tool was called";
const RUN_MS_MAX = 180_000;
const SHOWN_CHARS_MAX = 1_500;

const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    direct: { type: "string", default: '["SERVER"]' },
    wrapped: { type: "string" },
    scratch: { type: "string" },
    profile: { type: "string", default: "full" },
    sdk: { type: "string", default: "1" },
    verbose: { type: "boolean", default: false },
  },
});
if (!(options.server in BEYOND) || !(options.sdk in SDKS) || !options.scratch) {
  console.error(`usage: node parity.mjs --server ${Object.keys(BEYOND).join("|")} --scratch DIR [--direct SIDE] [--wrapped SIDE] [--profile full|bare] [--sdk 1|2]`);
  process.exit(2);
}

const tap = new Tap();
setTimeout(() => {
  tap.notOk("the run ends in time", `nothing more after ${RUN_MS_MAX} ms`);
  process.exit(tap.finish());
}, RUN_MS_MAX).unref();

const server = loadCases(options.server, options.scratch);
const direct = await transcript(side(options.direct), "direct");
const wrapped = await transcript(side(options.wrapped ?? options.direct), "wrapped");
compare(direct, wrapped);
process.exit(tap.finish());

function side(text) {
  const parsed = JSON.parse(text);
  if (!Array.isArray(parsed)) return parsed;
  return { command: parsed.flatMap((part) => (part === "SERVER" ? server.command : [part])), quiet: !options.verbose };
}

async function transcript(from, label) {
  const steps = [];
  server.prepare();
  const session = await connect(from, options.profile === "full" ? FULL : BARE, { roots: server.roots, sdk: SDKS[options.sdk] });
  const step = async (name, rules, act) => {
    const value = await act();
    steps.push({ name, rules, value });
    return value;
  };
  try {
    await everyStep(session, step);
  } finally {
    await session.close();
  }
  tap.note(`${label}: ${steps.length} steps`);
  return steps;
}

async function everyStep(session, step) {
  const has = session.client.getServerCapabilities();
  await step("initialize", [], () => ({
    info: session.client.getServerVersion(),
    capabilities: has,
    instructions: session.client.getInstructions(),
    answer: session.wire.messages[0].result,
  }));
  await step("ping", [], () => session.request("ping", {}));
  const listed = await step("tools/list", [], () => session.request("tools/list", {}));
  const names = listed.answer.result.tools.map(({ name }) => name);
  if (has.resources) await readAll(session, step);
  if (has.prompts) await step("prompts/list", [], () => session.request("prompts/list", {}));
  for (const { tool, args, rules = [], progress } of server.calls) {
    if (!names.includes(tool)) continue;
    await step(`tools/call ${tool} ${brief(args)}`, rules, () => session.call(tool, args, { reportProgress: progress }));
  }
  if (options.profile === "full") {
    await BEYOND[options.server](session, step);
    await step(EVERY_TOOL, [], () => names.filter((name) => !session.wire.called.has(name)));
  }
}

async function readAll(session, step) {
  const listed = await step("resources/list", [], () => session.request("resources/list", {}));
  await step("resources/templates/list", [], () => session.request("resources/templates/list", {}));
  for (const { uri } of listed.answer.result.resources) {
    await step(`resources/read ${uri}`, [], () => session.request("resources/read", { uri }));
  }
}

function compare(direct, wrapped) {
  const used = new Set();
  const rest = [...wrapped];
  for (const left of direct) {
    // A step that only one side took is one difference, not the end of all comparison.
    const at = rest.findIndex(({ name }) => name === left.name);
    const right = at < 0 ? undefined : rest.splice(at, 1)[0];
    left.rules.forEach((rule) => used.add(rule));
    const a = settle(plain(left.value), left.rules);
    const b = settle(plain(right?.value), left.rules);
    const sound = left.name === EVERY_TOOL ? a.length === 0 : !a?.missing && !a?.unanswered;
    tap.check(
      `${options.server}: ${left.name}`,
      right !== undefined && sound && isDeepStrictEqual(a, b),
      `direct:  ${show(a)}\nwrapped: ${right ? show(b) : "no such step"}`,
    );
  }
  tap.check(`${options.server}: no step on one side only`, rest.length === 0, show(rest.map(({ name }) => name)));
  for (const rule of used) tap.note(`normalised ${rule}: ${RULES[rule].why}`);
}

// Through JSON, so that what is compared is what travelled.
function plain(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function show(value) {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}… (${text.length} characters)` : text;
}

function brief(args) {
  const text = JSON.stringify(args);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
