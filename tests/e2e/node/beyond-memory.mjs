// What to ask of server-memory beyond its tools: the graph as a resource, and news of its changes.

const GRAPH = "memory://knowledge-graph";

export async function memory(session, step) {
  await step("resources/read of the graph", [], () => session.request("resources/read", { uri: GRAPH }));
  await step("resources/subscribe", [], () => session.request("resources/subscribe", { uri: GRAPH }));
  const from = session.wire.messages.length;
  await step("tools/call create_entities while subscribed", [], () =>
    session.call("create_entities", { entities: [{ name: "Lyra", entityType: "vendor", observations: [] }] }),
  );
  await step("notifications/resources/updated for the graph", [], () =>
    session.notified((message) => message.method === "notifications/resources/updated", from),
  );
  await step("resources/unsubscribe", [], () => session.request("resources/unsubscribe", { uri: GRAPH }));
}
