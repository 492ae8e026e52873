// What the gateway changes on purpose, asked of server-everything behind a mission that allows everything. Whatever else differs, `parity.mjs` finds.
//
//   node differences.mjs --wrapped '["countersign", "mcp", ..., "--", "SERVER"]' --scratch DIR

import { parseArgs } from "node:util";

import { loadCases } from "./cases.mjs";
import { FULL, connect } from "./session.mjs";
import { Tap } from "./tap.mjs";

const { values: options } = parseArgs({ options: { wrapped: { type: "string" }, scratch: { type: "string" } } });
const tap = new Tap();
const server = loadCases("everything", options.scratch);
const command = JSON.parse(options.wrapped).flatMap((part) => (part === "SERVER" ? server.command : [part]));
const tasks = { list: {}, requests: { elicitation: { create: {} }, sampling: { createMessage: {} } } };
const session = await connect({ command }, { ...FULL, tasks }, { roots: server.roots });

// Tasks would run past the decision that let them begin, so neither side is offered them.
tap.check("the server's tasks are not offered", session.client.getServerCapabilities().tasks === undefined, "capabilities.tasks is there");
const names = (await session.request("tools/list", {})).answer.result.tools.map(({ name }) => name);
tap.check("the client's tasks are not offered", !names.some((name) => name.endsWith("-async")), names.join(" "));
await refused("a call as a task is refused in words", /task/, "tools/call", { name: "simulate-research-query", arguments: { topic: "ledgers" }, task: { ttl: 1_000 } });
await refused("a task's methods are unknown", /./, "tasks/list", {});

// What nobody knows how to govern does not pass.
await refused("an unknown method does not reach the server", /./, "everything/else", {});
tap.check("and the connection goes on", (await session.request("ping", {})).answer?.result !== undefined, "no answer to ping");
await session.close();
process.exit(tap.finish());

async function refused(what, words, method, params) {
  const { answer } = await session.request(method, params);
  const said = answer?.error?.message ?? (answer?.result?.isError ? answer.result.content[0].text : "");
  tap.check(`${what}: ${said}`, said !== "" && words.test(said), JSON.stringify(answer));
}
