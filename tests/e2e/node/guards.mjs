// Who may not come in over HTTP, asked with plain requests, because no well-behaved client would send them.
//
//   node guards.mjs --url http://127.0.0.1:7070/mcp/NAME --token TOKEN

import { request } from "node:http";
import { parseArgs } from "node:util";

import { Tap } from "./tap.mjs";

const { values: options } = parseArgs({ options: { url: { type: "string" }, token: { type: "string" } } });
const url = new URL(options.url);
const tap = new Tap();

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "guards", version: "1.0.0" } },
});
const CALL = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "echo", arguments: { message: "hi" } } });
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const other = options.token.at(-1) === "A" ? "B" : "A";

await refused("no token", 401, {});
await refused("another token", 401, bearer("not-a-token"));
await refused("a token that differs in its last character", 401, bearer(options.token.slice(0, -1) + other));
await refused("the token under another scheme", 401, { authorization: `Basic ${options.token}` });
await refused("a page of another origin", 403, { ...bearer(options.token), origin: "https://evil.example" });
await refused("another host name, as after DNS rebinding", 403, { ...bearer(options.token), host: "evil.example" });
await refused("a server that nobody configured", 404, bearer(options.token), { path: "/mcp/nothing" });
await refused("a session that never was", 404, { ...bearer(options.token), "mcp-session-id": "00000000-0000-4000-8000-000000000000" }, { body: CALL });
await refused("a call before initialize", 400, bearer(options.token), { body: CALL });
await refused("a body that is no JSON", 400, bearer(options.token), { body: '{"jsonrpc":' });
await refused("a body with a key twice", 400, bearer(options.token), { body: INITIALIZE.replace('"id":1', '"id":1,"id":2') });
await refused("a method that HTTP has and MCP has not", 405, bearer(options.token), { method: "PUT" });

const welcome = await send(bearer(options.token), {});
tap.check("the token itself is let in", welcome.status === 200, `${welcome.status} ${welcome.text}`);
process.exit(tap.finish());

async function refused(who, status, headers, rest = {}) {
  const answer = await send(headers, rest);
  const silent = !answer.text.includes(options.token);
  tap.check(`${who}: ${status}`, answer.status === status && silent, `${answer.status} ${answer.text}`);
}

function send(headers, { method = "POST", path = url.pathname, body = INITIALIZE }) {
  const usual = { "content-type": "application/json", accept: "application/json, text/event-stream", "content-length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const sent = request({ host: url.hostname, port: url.port, path, method, headers: { ...usual, ...headers }, timeout: 20_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 20 s")));
    sent.on("error", reject);
    sent.end(body);
  });
}
