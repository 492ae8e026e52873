// Asks the same of server-everything twice with the command line of the MCP Inspector, once directly and once through the gateway, and requires the same output and
// exit code.
//
//   node inspector.mjs --node PATH --inspector PATH --direct SIDE --wrapped SIDE --scratch DIR
//
// The Inspector needs a newer Node.js than the other scripts: --node is one, --inspector its program. A SIDE is what it is in parity.mjs.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";

import { loadCases } from "./cases.mjs";
import { RULES, settle } from "./nondeterminism.mjs";
import { Tap } from "./tap.mjs";

const CALL_MS_MAX = 60_000;

// Each with the rules of what may differ; the exit codes are what the Inspector gave directly when this was written, so that a run that asks nothing fails.
const QUESTIONS = [
  [["--method", "tools/list"], 0, []],
  [["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=Grüße ✓"], 0, []],
  [["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "--tool-arg", "b=40"], 0, []],
  [["--method", "tools/call", "--tool-name", "get-structured-content", "--tool-arg", "location=Chicago"], 0, []],
  [["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=two", "--tool-arg", "b=40"], 5, []],
  [["--method", "resources/list"], 0, []],
  [["--method", "resources/templates/list"], 0, []],
  [["--method", "resources/read", "--uri", "demo://resource/static/document/architecture.md"], 0, []],
  [["--method", "resources/read", "--uri", "demo://resource/nowhere"], 1, []],
  [["--method", "prompts/list"], 0, []],
  [["--method", "prompts/get", "--prompt-name", "simple-prompt"], 0, []],
];

const { values: options } = parseArgs({
  options: Object.fromEntries(["node", "inspector", "direct", "wrapped", "scratch"].map((name) => [name, { type: "string" }])),
});
const cases = loadCases("everything", options.scratch);
cases.prepare();

const tap = new Tap();
for (const [question, exit, rules] of QUESTIONS) {
  const direct = ask(options.direct, question);
  const wrapped = ask(options.wrapped, question);
  const same = isDeepStrictEqual(settle(direct, rules), settle(wrapped, rules));
  const told = `direct:  ${JSON.stringify(direct)}\nwrapped: ${JSON.stringify(wrapped)}`;
  tap.check(`the Inspector: ${question.join(" ").slice(0, 80)}`, direct.exit === exit && same, told.slice(0, 3_000));
  for (const rule of rules) tap.note(`normalised ${rule}: ${RULES[rule].why}`);
}
process.exit(tap.finish());

function ask(side, question) {
  const run = spawnSync(options.node, [options.inspector, "--cli", ...target(JSON.parse(side)), ...question, "--format", "json"], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: options.scratch },
    timeout: CALL_MS_MAX,
  });
  return { exit: run.status, output: readable(run.stdout), error: run.status === 0 ? undefined : lastLine(run.stderr) };
}

// A command goes into a configuration file, as people write it: the Inspector would take a command's options for its own.
function target(side) {
  if (!Array.isArray(side)) return [side.url, "--transport", "http", ...(side.token ? ["--header", `Authorization: Bearer ${side.token}`] : [])];
  const [command, ...args] = side.flatMap((part) => (part === "SERVER" ? cases.command : [part]));
  const config = join(options.scratch, "inspector.json");
  writeFileSync(config, JSON.stringify({ mcpServers: { everything: { command, args } } }));
  return ["--config", config, "--server", "everything"];
}

function readable(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function lastLine(text) {
  return text.trim().split("\n").at(-1);
}
