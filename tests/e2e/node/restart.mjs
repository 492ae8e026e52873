// A client as it is, whose gateway dies while its call waits for people: the same as ../python/restart.py, with the TypeScript client.
//
//   node restart.mjs --side SIDE --sdk 1|2 --invoice NAME
//
// Its code knows nothing of approvals but what a model is told, and connects anew once a call was lost.

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { SDKS } from "./session.mjs";
import { Tap } from "./tap.mjs";

const ROUNDS_MAX = 60;
const PAUSE_MS = 1_000;

const names = ["invoice", "sdk", "side"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const sdk = SDKS[options.sdk];
const side = JSON.parse(options.side);
const lost = [];
let connections = 0;

const result = await pay({ account: "DE02120300000000202051", amount: 12.5, invoice: options.invoice });
const said = `${JSON.stringify(result)}, lost: ${JSON.stringify(lost)}, connections: ${connections}`;
const tap = new Tap();
tap.check("the call is answered", result && !result.isError && result.content[0].text.startsWith("sent 12.50 EUR"), said);
tap.check("the gateway's end was seen", lost.length > 0, said);
tap.note(said);
process.exit(tap.finish());

// Sends one call until it is answered, as code does whose connection was lost.
async function pay(args) {
  while (lost.length < ROUNDS_MAX) {
    const client = new sdk.Client({ name: "countersign-e2e", version: "1.0.0" }, { capabilities: {} });
    try {
      await client.connect(transport());
      connections += 1;
      await client.listTools();
      return await insist(client, args);
    } catch (error) {
      lost.push(`${error}`);
    } finally {
      await client.close().catch((error) => lost.push(`${error}`));
    }
    await sleep(PAUSE_MS);
  }
  return undefined;
}

// Sends the same call until it is answered, as a model does that is told to.
async function insist(client, args) {
  for (;;) {
    const result = await client.callTool({ name: "send_money", arguments: args });
    if (result._meta?.["countersign.dev/approval"]?.outcome !== "pending") return result;
  }
}

function transport() {
  if (Array.isArray(side)) return new sdk.StdioClientTransport({ command: side[0], args: side.slice(1), stderr: "inherit" });
  return new sdk.StreamableHTTPClientTransport(new URL(side.url), { requestInit: { headers: { Authorization: `Bearer ${side.token}` } } });
}
