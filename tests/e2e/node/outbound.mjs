// The gateway as an OAuth client: a login with a browser, tokens that are refreshed while calls go on, and a client of its own credentials. The upstream is
// another gateway, which takes nothing but signed tokens.
//
//   node outbound.mjs --login '["countersign", "upstream", "login", ...]' --person URL --service URL --token TOKEN

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { browse } from "./loopback.mjs";
import { Tap } from "./tap.mjs";

const { values: options } = parseArgs({
  options: { login: { type: "string" }, person: { type: "string" }, service: { type: "string" }, token: { type: "string" } },
});
const tap = new Tap();
const PATIENCE_MS = 30_000;

const before = await connect(options.person).then(() => "connected", String);
tap.check("before the login: the command that mends it", before.includes("countersign upstream login everything"), before);

const told = await login();
tap.check("the login says who authorized what", told.code === 0 && told.lines.some((line) => line.includes("is authorized by")), JSON.stringify(told));

const person = await patiently(() => connect(options.person));
const first = await echo(person, "with a person's consent");
tap.check("a call goes through with the person's token", first.includes("with a person's consent"), first);

// The token is good for seconds. A call that comes too late is told so and not sent again; the one after it has a new token.
let late = "";
for (const end = Date.now() + PATIENCE_MS; Date.now() < end && !late.includes("not_executed"); ) late = await echo(person, "still there?");
tap.check("a refused token is replaced, and its call is not sent again", late.includes("not_executed"), late);
const renewed = await echo(person, "with a new token");
tap.check("the next call has the new token", renewed.includes("with a new token"), renewed);

const service = await patiently(() => connect(options.service));
const tools = await service.listTools();
tap.check("the gateway's own credentials do for the other upstream", tools.tools.length > 0, JSON.stringify(tools));
process.exit(tap.finish());

async function connect(url) {
  const client = new Client({ name: "countersign-e2e", version: "1.0.0" });
  const requestInit = { headers: { authorization: `Bearer ${options.token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

// The gateway asks for no token within seconds of a failure.
async function patiently(attempt) {
  for (const end = Date.now() + PATIENCE_MS; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function echo(client, message) {
  return JSON.stringify(await client.callTool({ name: "echo", arguments: { message } }).catch((error) => ({ error: String(error), data: error.data })));
}

// Runs the command and is the person with the browser.
async function login() {
  const [program, ...args] = JSON.parse(options.login);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    const page = line.trim();
    if (!page.startsWith("http")) continue;
    const back = await browse(page, new URL(page).searchParams.get("redirect_uri"));
    // Somebody else's answer first: it must not end the wait.
    const forged = new URL(back);
    forged.searchParams.set("state", "forged");
    const refused = await fetch(forged);
    tap.check("an answer with another state is nothing", refused.status === 404, refused.status);
    await fetch(back);
  }
  return { code: await ended, lines };
}
