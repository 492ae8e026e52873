// Proves that the parity script can fail: each loss that a bad gateway may cause must turn at least one check red, and no loss none.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Tap } from "./tap.mjs";

const LOSSES = [
  ["filesystem", "nothing", 0],
  ["filesystem", "annotations", 1],
  ["filesystem", "structured", 1],
  ["everything", "progress", 1],
  ["memory", "nothing", 0],
];

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const tap = new Tap();
for (const [server, loss, want] of LOSSES) {
  const scratch = mkdtempSync(join(tmpdir(), "countersign-selftest-"));
  const wrapped = JSON.stringify([process.execPath, here("lossy.mjs"), loss, "SERVER"]);
  const run = spawnSync(process.execPath, [here("parity.mjs"), "--server", server, "--scratch", join(scratch, "s"), "--wrapped", wrapped], { encoding: "utf8" });
  rmSync(scratch, { recursive: true, force: true });
  const red = run.stdout.split("\n").filter((line) => line.startsWith("not ok"));
  tap.check(`parity of ${server} with ${loss} lost exits ${want}`, run.status === want && red.length > 0 === (want === 1), `exit ${run.status}\n${red.join("\n")}\n${run.stderr}`);
}
process.exit(tap.finish());
