// A client that leaves while a server's question to it is open, with and without saying so. That the question's call is closed all the same is seen in
// the evidence, once the gateway has ended.
//
//   node leaving.mjs --url http://127.0.0.1:7070/mcp/everything --token TOKEN

import { parseArgs } from "node:util";

import { ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

import { FULL, connect } from "./session.mjs";
import { Tap } from "./tap.mjs";

const { values: options } = parseArgs({ options: { url: { type: "string" }, token: { type: "string" } } });
const tap = new Tap();

for (const goodbye of ["with a goodbye", "without a goodbye"]) {
  const session = await connect({ url: options.url, token: options.token }, FULL);
  session.client.setRequestHandler(ListRootsRequestSchema, () => new Promise(() => {}));
  const question = await session.wire.wait(({ method }) => method === "roots/list", 0);
  tap.check(`the server asks, and the client leaves ${goodbye}`, question.id !== undefined, JSON.stringify(question));
  if (goodbye === "with a goodbye") await session.transport.terminateSession();
  await session.client.close();
}
process.exit(tap.finish());
