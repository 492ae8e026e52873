// A small MCP client for trying things: lists a server's tools, or calls one. Node.js 20 or newer, no packages.
//
//   node call.mjs [TOOL [ARGUMENTS]] -- COMMAND...                    a server over stdio
//   node call.mjs [TOOL [ARGUMENTS]] --url URL [--token TOKEN]        a server over Streamable HTTP
//
// ARGUMENTS is a JSON object. Prints the answer's text. Exit code 0: the tool answered; 1: it answered with an error, or the call was denied; 2: usage.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const words = process.argv.slice(2);
const cut = words.indexOf("--");
const command = cut < 0 ? [] : words.splice(cut).slice(1);
const url = option("--url");
const token = option("--token");
const [tool, text] = words;
if ((command.length === 0) === (url === undefined)) {
  console.error("usage: node call.mjs [TOOL [ARGUMENTS]] (-- COMMAND... | --url URL [--token TOKEN])");
  process.exit(2);
}

const server = url === undefined ? overStdio(command) : overHttp(url, token);
await server.request("initialize", {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "call.mjs", version: "1" },
});
await server.notify("notifications/initialized");
const failed = tool === undefined ? await list() : await call();
await server.close();
process.exitCode = failed ? 1 : 0;

async function list() {
  const { tools } = await server.request("tools/list", {});
  for (const { name, inputSchema } of tools) {
    const required = new Set(inputSchema.required ?? []);
    const args = Object.keys(inputSchema.properties ?? {}).map((arg) => (required.has(arg) ? arg : `[${arg}]`));
    console.log(`${name} ${args.join(" ")}`.trimEnd());
  }
  return false;
}

async function call() {
  const { content, isError } = await server.request("tools/call", { name: tool, arguments: JSON.parse(text ?? "{}") });
  for (const part of content) console.log(part.type === "text" ? part.text.trimEnd() : `(${part.type})`);
  return isError === true;
}

function option(name) {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words.splice(at, 2)[1];
}

// The result of an answer; an error ends the program.
function result({ result, error }) {
  if (error === undefined) return result;
  console.error(`error ${error.code}: ${error.message}`);
  process.exit(1);
}

function overStdio([program, ...args]) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = new Map();
  const ended = new Promise((resolve) => child.on("close", resolve));
  child.on("error", (error) => lost(error.message));
  child.on("close", (code) => waiting.size > 0 && lost(`it ended with exit code ${code}`));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  let id = 0;
  return {
    notify: (method) => send({ method }),
    request: async (method, params) =>
      result(await new Promise((resolve) => { waiting.set(++id, resolve); send({ id, method, params }); })),
    close: () => { child.stdin.end(); return ended; },
  };
}

function overHttp(endpoint, bearer) {
  let id = 0;
  const session = {};
  const headers = () => ({
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    ...(bearer && { authorization: `Bearer ${bearer}` }),
    ...session,
  });
  const post = async (message) => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    const response = await fetch(endpoint, { method: "POST", headers: headers(), body }).catch((error) => lost(error.cause?.message ?? error));
    if (!response.ok) lost(`HTTP ${response.status}: ${await response.text()}`);
    return response;
  };
  return {
    notify: async (method) => void (await (await post({ method })).arrayBuffer()),
    request: async (method, params) => {
      const response = await post({ id: ++id, method, params });
      const text = await response.text();
      const streamed = response.headers.get("content-type").startsWith("text/event-stream");
      const messages = streamed ? text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => line.slice(6)) : [text];
      const answer = messages.map((message) => JSON.parse(message)).find((message) => message.id === id);
      if (method === "initialize") {
        const opened = response.headers.get("mcp-session-id");
        Object.assign(session, opened && { "mcp-session-id": opened }, { "mcp-protocol-version": answer.result?.protocolVersion });
      }
      return result(answer);
    },
    close: async () => void (await fetch(endpoint, { method: "DELETE", headers: headers() })),
  };
}

function lost(why) {
  console.error(`no answer from the server: ${why}`);
  process.exit(1);
}
