"""Asks the same of a server twice with the Python client, once directly and once through the gateway, and requires the same answers.

    python parity.py --server NAME --scratch DIR [--direct SIDE] [--wrapped SIDE] [--mode auto|legacy]

A SIDE is a JSON list, the command of a stdio server ("SERVER" in it stands for the server's own command), or a JSON object
{"url": ..., "token": ...} for Streamable HTTP. The client runs in its default mode: it probes `server/discover` and falls back to `initialize`.
What is asked and what may differ is in ../cases, shared with the TypeScript client.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import re
import shutil
import sys
import warnings
from pathlib import Path

import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

HERE = Path(__file__).resolve().parent
CASES = HERE.parent / "cases"
MODULES = HERE.parent / "node" / "node_modules"
RULES = json.loads((CASES / "rules.json").read_text())
RUN_SECONDS_MAX = 180
SHOWN_CHARS_MAX = 1500


class Tap:
    """Reports checks as TAP lines. A run that checked nothing has failed."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, name, holds, details=""):
        self.count += 1
        print(f"{'ok' if holds else 'not ok'} {self.count} - {name}", flush=True)
        if not holds:
            self.failed += 1
            for line in details.split("\n"):
                print(f"#   {line}", flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        return 0 if self.count and not self.failed else 1


class Cases:
    """What to ask of one server, with the places of this run filled in."""

    def __init__(self, name, scratch):
        self.scratch = scratch
        self.root = scratch / "files"
        places = {
            "{scratch}": str(scratch),
            "{root}": str(self.root),
            "{outside}": str(scratch / "outside.txt"),
            "{64KiB}": "0123456789abcdef" * 4096,
        }
        self.told = fill(json.loads((CASES / f"{name}.json").read_text()), places)

    def command(self):
        # The server starts from an environment that is spelled out, so that even a server that prints its environment must answer the same.
        node = shutil.which("node")
        environment = {"PATH": f"{Path(node).parent}:/usr/bin:/bin", **self.told["env"]}
        spelled = [f"{name}={value}" for name, value in environment.items()]
        return ["/usr/bin/env", "-i", *spelled, node, str(MODULES / self.told["entry"]), *self.told["args"]]

    def prepare(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.root.mkdir(parents=True)
        for name in self.told.get("folders", []):
            (self.root / name).mkdir()
        for name, text in self.told.get("files", {}).items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        for name, target in self.told.get("links", {}).items():
            Path(target).write_text("not for you\n")
            (self.root / name).symlink_to(target)


def fill(value, places):
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(name, place)
        return value
    if isinstance(value, list):
        return [fill(item, places) for item in value]
    if isinstance(value, dict):
        return {name: fill(item, places) for name, item in value.items()}
    return value


def settle(value, names, key=""):
    if isinstance(value, str):
        for rule in (RULES[name] for name in names if "pattern" in RULES[name]):
            if "inside" not in rule:
                value = re.sub(rule["pattern"], rule["with"], value)
            elif rule["inside"] == key:
                value = re.sub(rule["pattern"], rule["with"], base64.b64decode(value).decode())
        return value
    if isinstance(value, list):
        return [settle(item, names) for item in value]
    if isinstance(value, dict):
        dropped = {RULES[name].get("drop") for name in names}
        return {name: settle(item, names, name) for name, item in value.items() if name not in dropped}
    return value


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
    await step("how the client and the server agreed", ["tasks"], agreement(client))
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


def compare(tap, server, direct, wrapped):
    rest = list(wrapped)
    for name, rules, value in direct:
        # A step that only one side took is one difference, not the end of all comparison.
        at = next((n for n, (other_name, _, _) in enumerate(rest) if other_name == name), None)
        other = rest.pop(at)[2] if at is not None else None
        left, right = settle(value, rules), settle(other, rules)
        complete = not (isinstance(left, dict) and left.get("missing"))
        details = f"direct:  {show(left)}\nwrapped: {show(right)}"
        tap.check(f"{server} with the Python client: {name}", at is not None and complete and left == right, details)
    tap.check(f"{server} with the Python client: no step on one side only", not rest, show([name for name, _, _ in rest]))


def show(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}… ({len(text)} characters)"


async def run(options):
    tap = Tap()
    cases = Cases(options.server, Path(options.scratch))

    def side(text):
        told = json.loads(text)
        if isinstance(told, dict):
            return told
        return [word for part in told for word in (cases.command() if part == "SERVER" else [part])]

    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            direct = await transcript(side(options.direct), cases, options.mode)
            wrapped = await transcript(side(options.wrapped or options.direct), cases, options.mode)
    except TimeoutError:
        tap.check("the run ends in time", False, f"nothing more after {RUN_SECONDS_MAX} s")
        return tap.finish()
    compare(tap, options.server, direct, wrapped)
    for rule in sorted({rule for _, rules, _ in direct for rule in rules}):
        print(f"# normalised {rule}: {RULES[rule]['why']}")
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
