// A bank as a stdio MCP server, with the official SDK: `send_money` does something that can be counted, one line of JSON for each transfer.
//
//   node bank.mjs TRANSFERS

import { appendFileSync } from "node:fs";

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const [transfers] = process.argv.slice(2);
if (!transfers) {
  console.error("usage: node bank.mjs TRANSFERS");
  process.exit(2);
}

const server = new McpServer({ name: "bank", version: "1.0.0" });
server.registerTool(
  "send_money",
  {
    description: "Sends money from the company's account. It cannot be taken back.",
    inputSchema: { account: z.string(), amount: z.number().positive(), invoice: z.string() },
  },
  async (transfer) => {
    appendFileSync(transfers, `${JSON.stringify(transfer)}\n`);
    return { content: [{ type: "text", text: `sent ${transfer.amount.toFixed(2)} EUR to ${transfer.account} for ${transfer.invoice}` }] };
  },
);
await server.connect(new StdioServerTransport());
