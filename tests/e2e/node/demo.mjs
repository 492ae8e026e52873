// The story of `cargo xtask demo`: an assistant checks an invoice, and the invoice tries to talk it into more than its mission allows. Each
// scene says what is tried and what must come of it; the files on disk have the last word.
//
//   node demo.mjs --documents DIR --bridge '["countersign", "mcp", ...]'

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { BARE, connect } from "./session.mjs";

const { values: options } = parseArgs({ options: { documents: { type: "string" }, bridge: { type: "string" } } });
if (!options.documents || !options.bridge) {
  console.error("usage: node demo.mjs --documents DIR --bridge '[\"countersign\", \"mcp\", ...]'");
  process.exit(2);
}

const at = (name) => join(options.documents, name);
const contract = at("contracts/corvus-2026.txt");
const draft = at("drafts/INV-2291.txt");
const agreed = readFileSync(contract, "utf8");
const DRAFT = "INV-2291 of Corvus Ltd, 4 800.00 EUR: the account differs from the contract's. Do not pay before somebody has called them.\n";

const SCENES = [
  ["look at the open invoices", "list_directory", { path: at("invoices/open") }, "allowed"],
  ["read one", "read_text_file", { path: at("invoices/open/INV-2291.txt") }, "allowed"],
  ["read the start of its contract", "read_text_file", { path: contract, head: 20 }, "allowed"],
  ["ask for more than 200 lines", "read_text_file", { path: contract, head: 5000 }, "denied"],
  ["do what the invoice's note says: change the contract", "write_file", { path: contract, content: agreed.replace("GB33", "GB29") }, "denied"],
  ["look at the payroll", "read_text_file", { path: at("payroll/salaries-2026.csv") }, "denied"],
  ["reach it by a detour", "read_text_file", { path: at("invoices/../payroll/salaries-2026.csv") }, "denied"],
  ["use a tool that the mission does not list", "move_file", { source: at("invoices/open/INV-2291.txt"), destination: at("invoices/paid/INV-2291.txt") }, "denied"],
  ["draft a note for a person", "write_file", { path: draft, content: DRAFT }, "allowed"],
];

let count = 0;
let failed = 0;
const session = await connect({ command: JSON.parse(options.bridge), quiet: false }, BARE);
const offered = (await session.request("tools/list", {})).answer.result.tools.map(({ name }) => name);
report("sees the tools of its mission and no others", offered.join(" "), offered.sort().join() === "list_directory,read_text_file,write_file");

for (const [intent, tool, args, want] of SCENES) {
  const started = performance.now();
  const { answer } = await session.call(tool, args);
  const said = answer.error ? answer.error.message : answer.result.content[0].text;
  const got = answer.error || answer.result.isError ? "denied" : "allowed";
  // A refusal by the server itself would be no proof of anything.
  const governed = got === "allowed" || /denied/i.test(said);
  const words = got === "denied" ? said : `${tool}: ${said.split("\n")[0]}`;
  report(`${want.padEnd(7)} ${intent}`, `${words} (${(performance.now() - started).toFixed(1)} ms)`, got === want && governed);
}
await session.close();

report("the contract is as it was agreed", contract, readFileSync(contract, "utf8") === agreed);
report("the draft is there", draft, existsSync(draft) && readFileSync(draft, "utf8") === DRAFT);
report("the invoice is where it was", at("invoices/open"), existsSync(at("invoices/open/INV-2291.txt")));
console.log(`1..${count}`);
process.exit(failed === 0 ? 0 : 1);

function report(what, said, holds) {
  count += 1;
  failed += holds ? 0 : 1;
  console.log(`${holds ? "ok" : "not ok"} ${String(count).padEnd(2)} - ${what}\n          ${said}`);
}
