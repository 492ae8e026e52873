// Proves that the parity scripts can fail: each loss that a bad gateway may cause must turn at least one check red, and no loss none.
//
//   node selftest.mjs --python-1 PATH --python-2 PATH
//
// The paths are the interpreters with each major version of the Python SDK.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Tap } from "./tap.mjs";

const { values: pythons } = parseArgs({ options: { "python-1": { type: "string" }, "python-2": { type: "string" } } });

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const USERS = {
  "TypeScript 1.x": [process.execPath, here("parity.mjs"), "--sdk", "1"],
  "TypeScript 2.x": [process.execPath, here("parity.mjs"), "--sdk", "2"],
  "Python 2.x": [pythons["python-2"], here("../python/parity.py")],
  fastmcp: [pythons["python-2"], here("../python/frameworks.py"), "--framework", "fastmcp"],
  langchain: [pythons["python-1"], here("../python/frameworks.py"), "--framework", "langchain"],
};

const LOSSES = [
  ["TypeScript 1.x", "filesystem", "nothing", 0],
  ["TypeScript 1.x", "filesystem", "annotations", 1],
  ["TypeScript 1.x", "filesystem", "structured", 1],
  ["TypeScript 1.x", "everything", "progress", 1],
  ["TypeScript 1.x", "memory", "nothing", 0],
  ["TypeScript 2.x", "filesystem", "structured", 1],
  ["Python 2.x", "filesystem", "annotations", 1],
  ["fastmcp", "filesystem", "structured", 1],
  ["langchain", "filesystem", "structured", 1],
];

const tap = new Tap();
for (const [user, server, loss, want] of LOSSES) {
  const scratch = mkdtempSync(join(tmpdir(), "countersign-selftest-"));
  const wrapped = JSON.stringify([process.execPath, here("lossy.mjs"), loss, "SERVER"]);
  const [program, ...args] = USERS[user];
  const run = spawnSync(program, [...args, "--server", server, "--scratch", join(scratch, "s"), "--wrapped", wrapped], { encoding: "utf8" });
  rmSync(scratch, { recursive: true, force: true });
  const red = (run.stdout ?? "").split("\n").filter((line) => line.startsWith("not ok"));
  const held = run.status === want && red.length > 0 === (want === 1);
  tap.check(`${user}: parity of ${server} with ${loss} lost exits ${want}`, held, `exit ${run.status}\n${red.join("\n")}\n${run.stderr}${run.error ?? ""}`);
}
process.exit(tap.finish());
