"""Asks the same of a server twice with the Python client, once directly and once through the gateway, and requires the same answers.

    python parity.py --server NAME --scratch DIR [--direct SIDE] [--wrapped SIDE] [--mode auto|legacy]

A SIDE is a JSON list, the command of a stdio server ("SERVER" in it stands for the server's own command), or a JSON object
{"url": ..., "token": ...} for Streamable HTTP. The client runs in its default mode: it probes `server/discover` and falls back to `initialize`.
What is asked and what may differ is in ../cases, shared with the TypeScript client.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import warnings
from pathlib import Path

import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from cases import Cases, compare, note_rules, side_of
from tap import Tap

RUN_SECONDS_MAX = 180


class Session:
    """One connection, with every question of the server written down."""

    def __init__(self, client, asked):
        self.client = client
        self.asked = asked

    async def answer(self, send):
        """What came back, as JSON: the result, or the error as the protocol carried it."""
        already = len(self.asked)
        try:
            result = {"result": (await send).model_dump(mode="json", by_alias=True, exclude_none=True)}
        except MCPError as error:
            result = {"error": error.error.model_dump(mode="json", exclude_none=True)}
        except RuntimeError as error:
            # The client itself refuses, for example a result that does not match the tool's output schema.
            result = {"refused": str(error)}
        return {**result, "asked": self.asked[already:]}

    async def call(self, tool, args, *, progress):
        seen = []

        async def on_progress(done, total, message):
            seen.append([done, total, message])

        callback = on_progress if progress else None
        answer = await self.answer(self.client.call_tool(tool, args, read_timeout_seconds=60, progress_callback=callback))
        return {**answer, "progress": seen}


@contextlib.asynccontextmanager
async def connected(side, cases, mode):
    asked = []

    def note(method, params):
        asked.append([method, params.model_dump(mode="json", by_alias=True, exclude_none=True)])

    async def on_sampling(_context, params):
        note("sampling/createMessage", params)
        said = params.messages[-1].content
        text = (said[0] if isinstance(said, list) else said).text
        answer = types.TextContent(type="text", text=f"You said: {text}")
        return types.CreateMessageResult(role="assistant", model="fixed-model", stop_reason="endTurn", content=answer)

    async def on_elicitation(_context, params):
        note("elicitation/create", params)
        if getattr(params, "mode", "form") == "url":
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content={"name": "Ada Lovelace", "check": True, "integer": 7})

    async def on_roots(_context):
        return types.ListRootsResult(roots=[types.Root(uri=root["uri"], name=root["name"]) for root in cases.told["roots"]])

    async with contextlib.AsyncExitStack() as stack:
        client = Client(
            await server_of(side, stack),
            mode=mode,
            sampling_callback=on_sampling,
            elicitation_callback=on_elicitation,
            list_roots_callback=on_roots,
            cache=None,
        )
        yield Session(await stack.enter_async_context(client), asked)


async def server_of(side, stack):
    if isinstance(side, list):
        return StdioServerParameters(command=side[0], args=side[1:])
    headers = {"Authorization": f"Bearer {side['token']}"} if side.get("token") else {}
    http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=120)))
    return streamable_http_client(side["url"], http_client=http)


async def transcript(side, cases, mode):
    steps = []
    cases.prepare()
    async with connected(side, cases, mode) as session:

        async def step(name, rules, value):
            steps.append((name, rules, await value))
            return steps[-1][2]

        await every_step(session, cases, step)
    return steps


async def every_step(session, cases, step):
    client = session.client
    await step("how the client and the server agreed", [], agreement(client))
    listed = await step("tools/list", [], session.answer(client.list_tools()))
    names = [tool["name"] for tool in listed["result"]["tools"]]
    if client.server_capabilities.resources:
        await read_all(session, step)
    if client.server_capabilities.prompts:
        await prompt_all(session, step)
    called = set()
    for case in cases.told["calls"]:
        if case["tool"] not in names:
            continue
        called.add(case["tool"])
        label = json.dumps(case["args"], ensure_ascii=False)[:60]
        call = session.call(case["tool"], case["args"], progress=case.get("progress", False))
        await step(f"tools/call {case['tool']} {label}", case.get("rules", []), call)
    await step("every offered tool was called", [], just({"missing": sorted(set(names) - called)}))
    if "echo" in names:
        await step("tools/call echo, 16 at once", [], all_at_once(session))


async def read_all(session, step):
    client = session.client
    resources = await step("resources/list", [], session.answer(client.list_resources()))
    await step("resources/templates/list", [], session.answer(client.list_resource_templates()))
    for resource in resources["result"]["resources"]:
        await step(f"resources/read {resource['uri']}", [], session.answer(client.read_resource(resource["uri"])))


async def prompt_all(session, step):
    client = session.client
    prompts = await step("prompts/list", [], session.answer(client.list_prompts()))
    given = {"city": "Ulm", "state": "BW", "department": "Sales", "name": "Eve", "resourceType": "Text", "resourceId": "5"}
    for prompt in prompts["result"]["prompts"]:
        args = {argument["name"]: given[argument["name"]] for argument in prompt.get("arguments", [])}
        await step(f"prompts/get {prompt['name']}", ["clock"], session.answer(client.get_prompt(prompt["name"], args)))


async def agreement(client):
    return {
        "version": client.protocol_version,
        "server": client.server_info.model_dump(mode="json", exclude_none=True),
        "capabilities": client.server_capabilities.model_dump(mode="json", exclude_none=True),
        "instructions": client.instructions,
    }


async def all_at_once(session):
    return await asyncio.gather(*(session.call("echo", {"message": f"message {n}"}, progress=False) for n in range(16)))


async def just(value):
    return value


async def run(options):
    tap = Tap()
    cases = Cases(options.server, Path(options.scratch))

    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            direct = await transcript(side_of(options.direct, cases), cases, options.mode)
            wrapped = await transcript(side_of(options.wrapped or options.direct, cases), cases, options.mode)
    except TimeoutError:
        tap.check("the run ends in time", False, f"nothing more after {RUN_SECONDS_MAX} s")
        return tap.finish()
    compare(tap, f"{options.server} with the Python client", direct, wrapped)
    note_rules(direct)
    return tap.finish()


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, choices=["everything", "filesystem", "memory"])
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--direct", default='["SERVER"]')
    parser.add_argument("--wrapped")
    parser.add_argument("--mode", default="auto", choices=["auto", "legacy"])
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
