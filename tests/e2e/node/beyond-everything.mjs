// What to ask of server-everything beyond its tools: every resource, prompt and kind of message that it has.

import { FULL, SDKS, connect } from "./session.mjs";

const DOCUMENT = "demo://resource/static/document/features.md";
const DYNAMIC = "demo://resource/dynamic";

export async function everything(session, step) {
  await step("the server asked for the roots", [], async () => session.askedForRoots());
  await readings(session, step);
  await prompting(session, step);
  await notifications(session, step);
  await cancelling(session, step);
  if (session.sdk === SDKS[1]) await tasking(session, step);
  if (session.side.url) await resuming(session, step);
  await step("tools/call echo, 32 at once", [], () =>
    Promise.all(Array.from({ length: 32 }, (_, n) => session.call("echo", { message: `message ${n}` }).then(({ answer }) => answer))),
  );
}

async function readings(session, step) {
  const read = (uri) => () => session.request("resources/read", { uri });
  await step("resources/read dynamic text", ["clock"], read(`${DYNAMIC}/text/7`));
  await step("resources/read dynamic blob", ["blobClock"], read(`${DYNAMIC}/blob/8`));
  await step("resources/read what a tool made in this session", [], read("demo://resource/session/b.txt.gz"));
  await step("resources/read of a bad id", [], read(`${DYNAMIC}/text/none`));
  await step("resources/read of nothing", [], read("demo://resource/nothing"));
}

async function prompting(session, step) {
  const get = (name, args) => () => session.request("prompts/get", args ? { name, arguments: args } : { name });
  await step("prompts/get simple-prompt", [], get("simple-prompt"));
  await step("prompts/get args-prompt", [], get("args-prompt", { city: "Ulm", state: "BW" }));
  await step("prompts/get args-prompt without its argument", [], get("args-prompt", {}));
  await step("prompts/get completable-prompt", [], get("completable-prompt", { department: "Sales", name: "Eve" }));
  await step("prompts/get resource-prompt", ["clock"], get("resource-prompt", { resourceType: "Text", resourceId: "5" }));
  await step("prompts/get resource-prompt with a blob", ["blobClock"], get("resource-prompt", { resourceType: "Blob", resourceId: "6" }));

  const complete = (ref, argument, context) => () => session.request("completion/complete", context ? { ref, argument, context } : { ref, argument });
  const team = { type: "ref/prompt", name: "completable-prompt" };
  await step("completion/complete of a prompt argument", [], complete(team, { name: "department", value: "S" }));
  await step("completion/complete with context", [], complete(team, { name: "name", value: "" }, { arguments: { department: "Sales" } }));
  await step("completion/complete of a template", [], complete({ type: "ref/resource", uri: `${DYNAMIC}/text/{resourceId}` }, { name: "resourceId", value: "12" }));
}

async function notifications(session, step) {
  await step("logging/setLevel", [], () => session.request("logging/setLevel", { level: "debug" }));

  let from = session.wire.messages.length;
  await step("tools/call toggle-simulated-logging on", ["session"], () => session.call("toggle-simulated-logging", {}));
  await step("notifications/message, simulated", ["session", "logLevel"], () =>
    session.notified((message) => message.method === "notifications/message" && /level/i.test(message.params.data), from),
  );
  await step("tools/call toggle-simulated-logging off", ["session"], () => session.call("toggle-simulated-logging", {}));

  from = session.wire.messages.length;
  await step("resources/subscribe", [], () => session.request("resources/subscribe", { uri: DOCUMENT }));
  await step("notifications/message about the subscription", ["session"], () =>
    session.notified((message) => message.method === "notifications/message" && /Subscribe Resource/.test(message.params.data), from),
  );
  await step("tools/call toggle-subscriber-updates on", ["session"], () => session.call("toggle-subscriber-updates", {}));
  await step("notifications/resources/updated", [], () => session.notified((message) => message.method === "notifications/resources/updated", from));
  await step("tools/call toggle-subscriber-updates off", ["session"], () => session.call("toggle-subscriber-updates", {}));
  await step("resources/unsubscribe", [], () => session.request("resources/unsubscribe", { uri: DOCUMENT }));

  from = session.wire.messages.length;
  await step("tools/call gzip-file-as-resource once more", [], () =>
    session.call("gzip-file-as-resource", { name: "d.txt.gz", data: "data:text/plain;base64,SGVsbG8=" }),
  );
  await step("notifications/resources/list_changed", [], () => session.notified((message) => message.method === "notifications/resources/list_changed", from));
  await step("resources/list after the change", [], () => session.request("resources/list", {}));
}

// The client gives up once the work has visibly begun; the connection must stay usable.
async function cancelling(session, step) {
  const stop = new AbortController();
  await step("notifications/cancelled ends a running call", [], () =>
    session
      .call("trigger-long-running-operation", { duration: 30, steps: 300 }, { signal: stop.signal, onprogress: () => stop.abort("enough") })
      .then(({ answer, unanswered }) => ({ answer, gaveUp: unanswered })),
  );
  await step("ping after the cancellation", [], () => session.request("ping", {}));
}

// Calls as tasks, which only the SDK 1.x has in this form. Asking for a result waits until it is there.
async function tasking(session, step) {
  const rules = ["task", "taskTimes", "taskStage"];
  // Over HTTP this server repeats what it asked before when a client reconnects; that belongs to no task.
  const belongs = ({ params }) => params?._meta?.["io.modelcontextprotocol/related-task"] !== undefined;
  const ask = async (method, params) => {
    const said = await session.request(method, params);
    return { ...said, asked: said.asked?.filter(belongs) };
  };
  const begin = async (topic, more) => {
    const params = { name: "simulate-research-query", arguments: { topic, ...more }, task: { ttl: 60_000 } };
    const begun = await step(`tools/call as a task: ${topic}`, rules, () => ask("tools/call", params));
    return begun.answer?.result?.task?.taskId;
  };
  const about = (method, taskId) => () => ask(method, { taskId });

  const ledgers = await begin("ledgers", {});
  await step("tasks/get", rules, about("tasks/get", ledgers));
  await step("tasks/list", rules, () => ask("tasks/list", {}));
  // This one asks the person in mid-task; the question comes with the request for the result.
  const python = await begin("python", { ambiguous: true });
  const cancelled = await begin("nothing in particular", {});
  await step("tasks/cancel", rules, about("tasks/cancel", cancelled));
  await step("tasks/cancel once more", rules, about("tasks/cancel", cancelled));
  await step("tasks/result", rules, about("tasks/result", ledgers));
  await step("tasks/result with a question", rules, about("tasks/result", python));
  await step("tasks/get of what is done", rules, about("tasks/get", ledgers));
  await step("tasks/result once more", rules, about("tasks/result", ledgers));
  await step("tools/call as a task of a tool that is none", rules, () =>
    ask("tools/call", { name: "echo", arguments: { message: "hi" }, task: {} }),
  );
}

// The stream of a running call breaks after its second progress message; the client comes back with Last-Event-ID after a second and misses
// nothing. The call ends before that, because this server sends nothing new on a resumed stream.
async function resuming(session, step) {
  let broken = 0;
  const fetchThatBreaks = async (url, init) => {
    const response = await fetch(url, init);
    if (broken > 0 || init?.method !== "POST" || !String(init.body).includes("trigger-long-running-operation")) return response;
    broken += 1;
    return new Response(response.body.pipeThrough(breakAfter("notifications/progress", 2)), response);
  };
  const other = await connect(session.side, FULL, { fetch: fetchThatBreaks, sdk: session.sdk });
  await step("a broken stream is resumed", [], async () => ({
    ...(await other.call("trigger-long-running-operation", { duration: 0.6, steps: 6 }, { reportProgress: true })),
    broken,
  }));
  await step("the session ends on request", [], () => other.transport.terminateSession().then(() => "ended"));
  await other.close();
}

function breakAfter(mark, times) {
  let seen = 0;
  const decoder = new TextDecoder();
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      seen += decoder.decode(chunk, { stream: true }).split(mark).length - 1;
      if (seen >= times) controller.error(new Error("the connection was cut"));
    },
  });
}
