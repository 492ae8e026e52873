// The TypeScript SDK 1.x, as session.mjs uses it.

export { Client } from "@modelcontextprotocol/sdk/client/index.js";
export { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
export { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
export { ResultSchema as anyResult } from "@modelcontextprotocol/sdk/types.js";

import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const SCHEMAS = {
  "elicitation/create": ElicitRequestSchema,
  "roots/list": ListRootsRequestSchema,
  "sampling/createMessage": CreateMessageRequestSchema,
};

// Has the client answer the server's requests of this method.
export function answers(client, method, handler) {
  client.setRequestHandler(SCHEMAS[method], handler);
}
