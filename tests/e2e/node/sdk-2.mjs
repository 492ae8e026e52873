// The TypeScript SDK 2.x, as session.mjs uses it: in its default posture, which opens with `initialize`.

export { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
export { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

// What the client hands on of a result: all of it.
export const anyResult = { "~standard": { version: 1, vendor: "countersign-e2e", validate: (value) => ({ value }) } };

// Has the client answer the server's requests of this method.
export function answers(client, method, handler) {
  client.setRequestHandler(method, handler);
}
