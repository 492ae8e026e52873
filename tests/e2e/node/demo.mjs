// The story of `cargo xtask demo`: an assistant checks invoices and pays, an invoice tries to talk it into more than its mission allows, and two payments wait for
// people. Each scene says what is tried and what must come of it; the files on disk and the bank have the last word.
//
//   node demo.mjs --documents DIR --transfers FILE --bridges '{"files": [COMMAND...], "bank": [COMMAND...]}'
//                 --countersign PATH --home DIR --keys '{"PERSON": FILE}' [--auto]

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { Leads } from "./leads.mjs";
import { BARE, connect } from "./session.mjs";

const names = ["bridges", "countersign", "documents", "home", "keys", "transfers"];
const text = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
const { values: options } = parseArgs({ options: { ...text, auto: { type: "boolean" } } });
const missing = names.filter((name) => !options[name]);
if (missing.length > 0) {
  console.error(`demo.mjs: missing ${missing.map((name) => `--${name}`).join(", ")}`);
  process.exit(2);
}

const at = (name) => join(options.documents, name);
const contract = at("contracts/corvus-2026.txt");
const draft = at("drafts/INV-2291.txt");
const agreed = readFileSync(contract, "utf8");
// An agent that is told that its call waits comes back as soon as this.
const COMES_BACK_MS = 4_000;

const ALONE = [
  ["look at the open invoices", "list_directory", { path: at("invoices/open") }, "allowed"],
  ["read one", "read_text_file", { path: at("invoices/open/INV-2291.txt") }, "allowed"],
  ["read the start of its contract", "read_text_file", { path: contract, head: 20 }, "allowed"],
  ["ask for more than 200 lines", "read_text_file", { path: contract, head: 5000 }, "denied"],
  ["do what the invoice's note says: change the contract", "write_file", { path: contract, content: agreed.replace("GB33", "GB29") }, "denied"],
  ["look at the payroll", "read_text_file", { path: at("payroll/salaries-2026.csv") }, "denied"],
  ["reach it by a detour", "read_text_file", { path: at("invoices/../payroll/salaries-2026.csv") }, "denied"],
  ["use a tool that the mission does not list", "move_file", { source: at("invoices/open/INV-2291.txt"), destination: at("invoices/paid/INV-2291.txt") }, "denied"],
  ["pay to the account in the note", "send_money", { account: "GB29NWBK60161331926819", amount: 4800, invoice: "INV-2291" }, "denied"],
];
const AQUILA = { account: "DE02120300000000202051", amount: 1368.5, invoice: "INV-2292" };
const CORVUS = { account: "GB33BUKB20201555555555", amount: 4800, invoice: "INV-2291" };

const COLOURS = { allowed: 32, broken: 31, denied: 33, executed: 32, holds: 36, sees: 36, waits: 35, wants: 36 };
const INDENT = 10;
let count = 0;
let failed = 0;

const bridges = JSON.parse(options.bridges);
const files = await connect({ command: bridges.files, quiet: false }, BARE);
const bank = await connect({ command: bridges.bank, quiet: false }, BARE);
const leads = new Leads(options, note, (line) => console.log(" ".repeat(INDENT) + line));

const offered = [...(await tools(files)), ...(await tools(bank))].sort();
report("sees", "the tools of its mission and no others", offered.join(" "), offered.join() === "list_directory,read_text_file,send_money,write_file");
for (const [intent, tool, args, want] of ALONE) await scene(intent, tool, args, want);

chapter("larger payments wait for two finance leads");
const paid = [await payment("Aquila", AQUILA), await payment("Corvus", CORVUS)].filter(Boolean);

chapter("and the assistant's last call");
const account = paid.includes(CORVUS) ? "Paid to the contract's." : "Not paid.";
const DRAFT = `INV-2291 of Corvus Ltd, 4 800.00 EUR: its account differs from the contract's. ${account} Somebody has to call them.\n`;
console.log();
await scene("draft a note for a person", "write_file", { path: draft, content: DRAFT }, "allowed");
await files.close();
await bank.close();

report("holds", "the contract is as it was agreed", basename(contract), readFileSync(contract, "utf8") === agreed);
report("holds", "the draft is there", basename(draft), existsSync(draft) && readFileSync(draft, "utf8") === DRAFT);
const sent = existsSync(options.transfers) ? readFileSync(options.transfers, "utf8").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
report("holds", "the bank sent what was approved, each once, and nothing else", sent.map(({ invoice }) => invoice).join(" ") || "nothing", JSON.stringify(sent) === JSON.stringify(paid));
if (!process.stdout.isTTY) console.log(`1..${count}`);
process.exit(failed === 0 ? 0 : 1);

async function tools(session) {
  return (await session.request("tools/list", {})).answer.result.tools.map(({ name }) => name).filter((name) => name !== "countersign_approval_status");
}

// One call that the mission decides alone.
async function scene(intent, tool, args, want) {
  const started = performance.now();
  const { answer } = await (tool === "send_money" ? bank : files).call(tool, args);
  const { text, refused } = said(answer);
  // A refusal by the server itself would be no proof of anything.
  const governed = !refused || /denied/i.test(text);
  const words = refused ? text : `${tool}: ${text.split("\n")[0]}`;
  report(want, intent, `${words} (${(performance.now() - started).toFixed(1)} ms)`, (refused ? "denied" : "allowed") === want && governed);
}

// One call that people decide: gives what was paid, if it was.
async function payment(payee, args) {
  const intent = `pay ${args.invoice} to ${payee}: ${args.amount.toFixed(2)} EUR`;
  console.log();
  headline("", "wants", `to ${intent}`);
  const [answer, word] = await Promise.all([insist(args), leads.decide()]);
  const { text, refused } = said(answer);
  const expected = word === "approve" ? !refused : refused;
  report(refused ? "denied" : "executed", intent, text, expected);
  return refused ? undefined : args;
}

// Sends the same call until it is answered, as an agent does that is told to.
async function insist(args) {
  for (let round = 1; ; round += 1) {
    const started = performance.now();
    const { answer } = await bank.call("send_money", args);
    const told = answer.result?._meta?.["countersign.dev/approval"];
    if (told?.outcome !== "pending") return answer;
    const held = ((performance.now() - started) / 1000).toFixed(0);
    if (round === 1) report("waits", `held open for ${held} s; then the agent is told, and sends the same call again`, said(answer).text, said(answer).refused);
    leads.agentKnows();
    await sleep(leads.isScripted ? 0 : COMES_BACK_MS);
  }
}

function said(answer) {
  if (answer.error) return { refused: true, text: answer.error.message };
  return { refused: Boolean(answer.result.isError), text: answer.result.content[0].text };
}

function chapter(title) {
  console.log(`\n${title}`);
}

// Says something in between, of several lines perhaps, folded to the width of the terminal.
function note(words) {
  const width = process.stdout.isTTY ? Math.max(process.stdout.columns - INDENT - 1, 40) : Infinity;
  for (const line of words.split("\n")) {
    const own = " ".repeat(line.length - line.trimStart().length);
    let folded = own;
    for (const word of line.trim().split(" ")) {
      const longer = folded === own ? own + word : `${folded} ${word}`;
      if (longer.length <= width || folded === own) folded = longer;
      else {
        console.log(" ".repeat(INDENT) + folded);
        folded = own + word;
      }
    }
    console.log((" ".repeat(INDENT) + folded).trimEnd());
  }
}

// One line with what happens, in colour where there is any.
function headline(prefix, what, words) {
  const label = what.padEnd(8);
  const colour = process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[${COLOURS[what]}m${label}\u001b[0m` : label;
  console.log(process.stdout.isTTY ? ` ${colour} ${words}` : `${prefix.padEnd(INDENT - 1)} ${label} ${words}`);
}

function report(what, intent, words, holds) {
  count += 1;
  failed += holds ? 0 : 1;
  headline(`${holds ? "ok" : "not ok"} ${String(count).padEnd(2)} -`, holds || !process.stdout.isTTY ? what : "broken", intent);
  note(words);
}
