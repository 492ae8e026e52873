// A bad gateway: passes a stdio server through and loses one thing on the way. The parity script must notice; `selftest.mjs` sees to it.
//
//   node lossy.mjs LOSS COMMAND...

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const LOSSES = {
  nothing: (message) => message,
  annotations: (message) => (message.result?.tools ? { ...message, result: { tools: message.result.tools.map(({ annotations, ...rest }) => rest) } } : message),
  progress: (message) => (message.method === "notifications/progress" && message.params.progress === 3 ? undefined : message),
  structured: (message) => (message.result?.structuredContent ? { ...message, result: { ...message.result, structuredContent: { content: "" } } } : message),
};

const [loss, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
process.stdin.pipe(child.stdin);
createInterface({ input: child.stdout }).on("line", (line) => {
  const message = LOSSES[loss](JSON.parse(line));
  if (message) console.log(JSON.stringify(message));
});
child.on("close", () => process.exit(0));
