// The TypeScript client 2.x in revision 2026-07-28, which has no handshake: a server asked the same directly and through the gateway says the same.
//
//   node stateless.mjs --direct SIDE --wrapped SIDE
//
// A SIDE is a JSON list, the command of a stdio server, or a JSON object {"url": ..., "token": ...}. The server is ../python/stateless.py.

import { isDeepStrictEqual, parseArgs } from "node:util";

import { Client, StdioClientTransport, StreamableHTTPClientTransport, anyResult, answers } from "./sdk-2.mjs";
import { Tap } from "./tap.mjs";

const REVISION = "2026-07-28";
const AT_ONCE = 16;

const { values: options } = parseArgs({ options: { direct: { type: "string" }, wrapped: { type: "string" } } });

function open(side) {
  if (Array.isArray(side)) return new StdioClientTransport({ command: side[0], args: side.slice(1), stderr: "ignore" });
  const headers = { Authorization: `Bearer ${side.token}` };
  return new StreamableHTTPClientTransport(new URL(side.url), { requestInit: { headers } });
}

async function transcript(side) {
  const said = [];
  const asked = [];
  const client = new Client(
    { name: "countersign-e2e", version: "1.0.0" },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: { pin: REVISION } } },
  );
  answers(client, "elicitation/create", async ({ params }) => {
    asked.push(params);
    return { action: "accept", content: { name: "Ada" } };
  });
  await client.connect(open(side));
  const send = async (method, params, more) => {
    try {
      return { result: await client.request({ method, params }, anyResult, more) };
    } catch (error) {
      return { error: { code: error.code, message: error.message, data: error.data } };
    }
  };
  const step = async (name, method, params, more) => said.push([name, await send(method, params, more)]);
  try {
    said.push(["the revision", client.getNegotiatedProtocolVersion()]);
    said.push(["the server", client.getServerVersion()]);
    said.push(["its capabilities", client.getServerCapabilities()]);
    for (const list of ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]) {
      await step(list, list, {});
    }
    await step("tools/call add", "tools/call", { name: "add", arguments: { a: 1, b: 2 } });
    await step("tools/call of what is not there", "tools/call", { name: "nothing", arguments: {} });
    await step("tools/call fail", "tools/call", { name: "fail", arguments: {} });
    const progress = [];
    const onprogress = (report) => progress.push(report);
    await step("tools/call steps", "tools/call", { name: "steps", arguments: { count: 3 } }, { onprogress });
    // The client itself drops reports that arrive together with the answer.
    said.push(["its progress, in order", progress.every((report, at) => report.progress === at + 1)]);
    await step("tools/call form", "tools/call", { name: "form", arguments: {} });
    said.push(["what it asked", asked]);
    await step("resources/read", "resources/read", { uri: "note://one" });
    await step("prompts/get", "prompts/get", { name: "greet", arguments: { name: "Eve" } });
    const calls = Array.from({ length: AT_ONCE }, (_, n) => send("tools/call", { name: "add", arguments: { a: n, b: n } }));
    said.push([`${AT_ONCE} calls at once`, await Promise.all(calls)]);
  } finally {
    await client.close();
  }
  return said;
}

const tap = new Tap();
const direct = await transcript(JSON.parse(options.direct));
const wrapped = await transcript(JSON.parse(options.wrapped));
tap.check(`the client found revision ${REVISION}`, direct[0][1] === REVISION, JSON.stringify(direct[0]));
direct.forEach(([name, expected], at) => {
  const found = wrapped[at]?.[1];
  const details = `direct:   ${JSON.stringify(expected)}\ngoverned: ${JSON.stringify(found)}`;
  tap.check(`${name}: the same through the gateway`, isDeepStrictEqual(found, expected), details);
});
process.exit(tap.finish());
