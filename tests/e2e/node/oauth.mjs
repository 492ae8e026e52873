// The real client's OAuth flow against the gateway: metadata, authorization code with PKCE, refresh, step-up; and tokens that must not come in.
//
//   node oauth.mjs --url http://127.0.0.1:7070/mcp/everything --issuer http://127.0.0.1:1 --recorder http://127.0.0.1:2

import { parseArgs } from "node:util";

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { browse } from "./loopback.mjs";
import { Tap } from "./tap.mjs";

const { values: options } = parseArgs({
  options: { url: { type: "string" }, issuer: { type: "string" }, recorder: { type: "string" }, gated: { type: "string" } },
});
const url = new URL(options.url);
const tap = new Tap();
const CALL = JSON.stringify({ jsonrpc: "2.0", id: 900, method: "tools/call", params: { name: "echo", arguments: { message: "hi" } } });
const REVISION = { "mcp-protocol-version": "2025-11-25" };
const CALLBACK = "http://127.0.0.1/callback";
const METADATA = new URL(`/.well-known/oauth-protected-resource${url.pathname}`, url);

// What the SDK asks of its host; the "browser" signs in by itself.
class Person {
  constructor(name, clientId) {
    this.name = name;
    this.client = { client_id: clientId };
    this.asked = [];
  }
  redirectUrl = CALLBACK;
  clientMetadata = { client_name: "countersign-e2e", redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
  clientInformation = () => this.client;
  tokens = () => this.held;
  saveTokens = (tokens) => void (this.held = tokens);
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  codeVerifier = () => this.verifier;
  async redirectToAuthorization(page) {
    page.searchParams.set("login_hint", this.name);
    this.asked.push(page);
    const back = await browse(page, CALLBACK);
    this.code = back.searchParams.get("code");
    if (!this.code) throw new Error(`no code: ${back}`);
  }
}

// Connects as the SDK's documentation says: a first try that leads to the sign-in page, and one with the code.
async function signIn(person, at = url) {
  const first = new StreamableHTTPClientTransport(at, { authProvider: person });
  const client = () => new Client({ name: "countersign-e2e", version: "1.0.0" });
  try {
    await client().connect(first);
    throw new Error("came in without a token");
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
  }
  await first.finishAuth(person.code);
  const connected = client();
  const transport = new StreamableHTTPClientTransport(at, { authProvider: person });
  await connected.connect(transport);
  return { client: connected, transport };
}

const challenge = await post({}, "");
tap.check("without a token: 401 and the way to one", challenge.status === 401 && challenge.challenge.includes(`resource_metadata="${METADATA}"`), JSON.stringify(challenge));
const metadata = await (await fetch(METADATA)).json();
tap.check("the metadata is of the address that is called", metadata.resource === url.href && metadata.authorization_servers[0] === options.issuer, JSON.stringify(metadata));
const none = await fetch(new URL("/.well-known/oauth-protected-resource/mcp/nothing", url));
tap.check("no metadata for a server that is not there", none.status === 404, none.status);
const strange = await fetch(METADATA, { method: "POST" });
tap.check("metadata is only read", strange.status === 405, strange.status);

const ana = new Person("ana", "ap-bot");
const { client, transport } = await signIn(ana);
tap.check("the client asked for the endpoint and its scope", ana.asked[0].searchParams.get("resource") === url.href && ana.asked[0].searchParams.get("scope").includes("mcp:use"), ana.asked[0].href);
const tools = await client.listTools();
tap.check("tools are listed", tools.tools.some(({ name }) => name === "echo"), JSON.stringify(tools));
const said = await client.callTool({ name: "echo", arguments: { message: "with a signed token" } });
tap.check("a tool is called", said.content[0].text.includes("with a signed token"), JSON.stringify(said));

const before = ana.held.access_token;
const refreshed = await fetch(new URL("/token", options.issuer), {
  method: "POST",
  body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: ana.held.refresh_token, client_id: "ap-bot", resource: url.href }),
});
ana.held = await refreshed.json();
const again = await client.callTool({ name: "echo", arguments: { message: "after a refresh" } });
tap.check("a refreshed token keeps the session", ana.held.access_token !== before && again.content[0].text.includes("after a refresh"), JSON.stringify(again));

const bob = new Person("bob", "ap-bot");
const session = await signIn(bob);
const stolen = await post({ authorization: `Bearer ${bob.held.access_token}`, "mcp-session-id": transport.sessionId, ...REVISION }, CALL);
tap.check("another person's token does not reach the session", stolen.status === 404, JSON.stringify(stolen));
const own = await post({ authorization: `Bearer ${bob.held.access_token}`, "mcp-session-id": session.transport.sessionId, ...REVISION }, CALL);
tap.check("and reaches its own", own.status === 200, JSON.stringify(own));

const stranger = new Person("ana", "nobody");
const refused = await signIn(stranger).then(() => "came in", String);
tap.check("a client that no grant names: 403 and why", refused.includes("no grant"), refused);

// Tokens of the right server that are not right: for another endpoint, altered, or no access token at all.
const good = ana.held.access_token;
const [header, payload, signature] = good.split(".");
const part = (text, change) => Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(text, "base64url")), ...change })).toString("base64url");
for (const [name, token, status, fault] of [
  ["altered claims", `${header}.${part(payload, { sub: "root" })}.${signature}`, 401, "invalid_token"],
  ["no signature", `${part(header, { alg: "none" })}.${payload}.`, 401, "invalid_token"],
  ["an unknown key", `${part(header, { kid: "second" })}.${payload}.${signature}`, 401, "invalid_token"],
  ["words with dots", "a.b.c", 401, "invalid_token"],
  ["a refresh token", ana.held.refresh_token, 401, "invalid_token"],
  ["a token too long", `${good}${"x".repeat(20_000)}`, 401, "invalid_token"],
]) {
  const answer = await post({ authorization: `Bearer ${token}` }, CALL);
  const silent = !answer.text.includes(token);
  tap.check(`${name}: ${status}`, answer.status === status && answer.challenge.includes(`error="${fault}"`) && silent, JSON.stringify(answer));
}
const elsewhere = await post({ authorization: `Bearer ${good}` }, CALL, new URL("/mcp/memory", url));
tap.check("another endpoint's token: 401", elsewhere.status === 401 && elsewhere.text.includes("is not for this endpoint"), JSON.stringify(elsewhere));
const inUrl = await post({}, CALL, new URL(`${url}?access_token=${good}`));
tap.check("a token in the address: 400", inUrl.status === 400 && inUrl.challenge.includes("invalid_request"), JSON.stringify(inUrl));

// The SDK would try its refresh token first, which brings no scope that was not consented to.
const stepUp = new Person("ana", "ap-bot");
stepUp.saveTokens = ({ refresh_token: _unused, ...tokens }) => void (stepUp.held = tokens);
const gated = new URL(options.gated);
const short = await signIn(stepUp, gated).then(() => "came in at once", (error) => error);
const wanted = stepUp.asked.map((page) => page.searchParams.get("scope"));
tap.check("a lacking scope is named, and the client asks for it", short instanceof UnauthorizedError && wanted.at(-1) === "mcp:use pay", `${short} ${JSON.stringify(wanted)}`);
const wider = new StreamableHTTPClientTransport(gated, { authProvider: stepUp });
await wider.finishAuth(stepUp.code);
const stepped = new Client({ name: "countersign-e2e", version: "1.0.0" });
await stepped.connect(new StreamableHTTPClientTransport(gated, { authProvider: stepUp }));
tap.check("and comes in with it", (await stepped.listTools()).tools.length > 0, "no tools");
await stepped.close();

const seen = await (await fetch(new URL("/seen", options.recorder))).text();
const calls = JSON.parse(seen).length;
const tokens = [good, before, bob.held.access_token, "Bearer", "authorization"];
tap.check("no token of an agent ever reached the upstream", calls >= 6 && tokens.every((token) => !seen.includes(token)), `${calls} requests: ${seen}`);

await client.close();
process.exit(tap.finish());

async function post(headers, body, to = url) {
  const usual = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const response = await fetch(to, { method: "POST", headers: { ...usual, ...headers }, body });
  return { status: response.status, challenge: response.headers.get("www-authenticate") ?? "", text: await response.text() };
}
