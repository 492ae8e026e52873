// One connection of the real TypeScript client, with everything that arrives written down as it came over the wire, before the client's own
// types can drop a field.

import * as sdk1 from "./sdk-1.mjs";
import * as sdk2 from "./sdk-2.mjs";

// The client of each major version, under one form.
export const SDKS = { 1: sdk1, 2: sdk2 };

const WAIT_MS = 20_000;

// A server asks for the roots whenever it likes, so this request belongs to no step.
const ROOTS = "roots/list";

// Everything that a server may ask of a client, so that it offers all that it has.
export const FULL = {
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
  sampling: {},
};

export const BARE = {};

// `side` is { command: [...] } for stdio or { url, token } for Streamable HTTP.
export async function connect(side, capabilities, { roots = [], fetch, sdk = sdk1 } = {}) {
  const wire = new Wire();
  const client = new sdk.Client({ name: "countersign-e2e", version: "1.0.0" }, { capabilities });
  answerServerRequests(sdk, client, capabilities, roots);
  const transport = open(sdk, side, fetch);
  const deliver = interceptOnMessage(transport, (message) => wire.arrived(message));
  await client.connect(transport);
  deliver.check();
  return new Session(sdk, client, transport, wire, side);
}

export class Session {
  constructor(sdk, client, transport, wire, side) {
    this.sdk = sdk;
    this.side = side;
    this.client = client;
    this.transport = transport;
    this.wire = wire;
  }

  // Sends one request and returns what came back: the raw result or error, its progress, and what the server asked meanwhile.
  async request(method, params, { signal, onprogress, reportProgress = false } = {}) {
    const from = this.wire.messages.length;
    const options = { timeout: 60_000, signal, onprogress: onprogress ?? (reportProgress ? () => {} : undefined) };
    let id;
    const send = this.transport.send;
    // The client picks the id; the transport sees it first.
    this.transport.send = (message, sendOptions) => {
      if (id === undefined && message.method === method) id = message.id;
      return send.call(this.transport, message, sendOptions);
    };
    let thrown;
    const pending = this.client.request({ method, params }, this.sdk.anyResult, options);
    this.transport.send = send;
    try {
      await pending;
    } catch (error) {
      thrown = error;
    }
    const seen = this.wire.messages.slice(from);
    const answer = seen.find((message) => message.id === id && message.method === undefined);
    if (!answer) return { unanswered: thrown?.message ?? "no answer", id };
    return {
      answer: answer.error ? { error: answer.error } : { result: answer.result },
      progress: seen
        .filter((message) => message.method === "notifications/progress" && message.params.progressToken === id)
        .map(({ params: { progressToken, ...rest } }) => rest),
      asked: seen
        .filter((message) => message.method && message.id !== undefined && message.method !== ROOTS)
        .map(({ method: name, params: asked }) => ({ method: name, params: asked })),
    };
  }

  call(name, args, options) {
    this.wire.called.add(name);
    return this.request("tools/call", { name, arguments: args }, options);
  }

  askedForRoots() {
    return this.wire.messages.some((message) => message.method === ROOTS);
  }

  // Waits until a notification that `matches` has arrived since `from`, at most WAIT_MS.
  notified(matches, from = 0) {
    return this.wire.wait((message) => message.method?.startsWith("notifications/") && matches(message), from);
  }

  async close() {
    await this.client.close();
  }
}

class Wire {
  messages = [];
  called = new Set();
  #waiting = [];

  arrived(message) {
    const copy = structuredClone(message);
    this.messages.push(copy);
    this.#waiting = this.#waiting.filter((waiter) => !waiter(copy));
  }

  wait(matches, from) {
    const already = this.messages.slice(from).find(matches);
    if (already) return Promise.resolve(already);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ missing: `nothing within ${WAIT_MS} ms` }), WAIT_MS);
      this.#waiting.push((message) => {
        if (!matches(message)) return false;
        clearTimeout(timer);
        resolve(message);
        return true;
      });
    });
  }
}

function open(sdk, side, fetch) {
  if (side.url) {
    const headers = side.token ? { Authorization: `Bearer ${side.token}` } : {};
    return new sdk.StreamableHTTPClientTransport(new URL(side.url), { requestInit: { headers }, fetch });
  }
  const [command, ...args] = side.command;
  return new sdk.StdioClientTransport({ command, args, stderr: side.quiet === false ? "inherit" : "ignore" });
}

// The client sets `onmessage` when it connects; a property in front of it sees each message first.
function interceptOnMessage(transport, see) {
  let target;
  Object.defineProperty(transport, "onmessage", {
    configurable: true,
    get: () => target && ((message, extra) => {
      see(message);
      target(message, extra);
    }),
    set: (handler) => {
      target = handler;
    },
  });
  return {
    check: () => {
      if (!target) throw new Error("the client did not take messages from the transport");
    },
  };
}

// Fixed answers, so that what the server makes of them is the same on both sides.
function answerServerRequests(sdk, client, capabilities, roots) {
  if (capabilities.roots) sdk.answers(client, "roots/list", async () => ({ roots }));
  if (capabilities.sampling) {
    const reply = (text) => ({ model: "fixed-model", role: "assistant", stopReason: "endTurn", content: { type: "text", text } });
    sdk.answers(client, "sampling/createMessage", async (request) => reply(`You said: ${lastText(request)}`));
  }
  if (capabilities.elicitation) {
    sdk.answers(client, "elicitation/create", async ({ params }) => elicited(params));
  }
}

function elicited(params) {
  if (params.mode === "url") return { action: "accept" };
  const known = { name: "Ada Lovelace", check: true, integer: 7 };
  const content = Object.fromEntries(Object.keys(params.requestedSchema.properties).filter((name) => name in known).map((name) => [name, known[name]]));
  return { action: "accept", content };
}

function lastText(request) {
  const content = request.params.messages.at(-1).content;
  return (Array.isArray(content) ? content[0] : content).text;
}
