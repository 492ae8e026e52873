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

// What a server asks of a client is answered while it waits, so it is not offered the client's tasks.
const names = (await session.request("tools/list", {})).answer.result.tools.map(({ name }) => name);
tap.check("the client's tasks are not offered", !names.some((name) => name.endsWith("-async")), names.join(" "));
await refused("a task that no call of this session became is nobody's business", /task_not_allowed/, "tasks/get", { taskId: "nothing" });

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
