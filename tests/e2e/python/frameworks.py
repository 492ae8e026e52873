"""Uses a server as an application does, through a framework, once directly and once through the gateway, and requires the same of both.

    python frameworks.py --framework fastmcp|langchain --server NAME --scratch DIR --direct SIDE --wrapped SIDE

A SIDE is what it is in parity.py, and so are the questions. Each framework has its own client and needs its own packages: fastmcp those of requirements.txt,
langchain (langchain-mcp-adapters, with the Python SDK 1.x) those of requirements-1.txt.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import warnings
from pathlib import Path

from cases import Cases, compare, note_rules, side_of
from tap import Tap

RUN_SECONDS_MAX = 180
CALL_SECONDS_MAX = 60


class FastMcp:
    """The client of fastmcp, with its high-level calls."""

    def __init__(self, client):
        self.client = client

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, side):
        from fastmcp import Client
        from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

        if isinstance(side, dict):
            transport = StreamableHttpTransport(side["url"], headers=bearer(side))
        else:
            transport = StdioTransport(side[0], side[1:], keep_alive=False)
        async with Client(transport, timeout=CALL_SECONDS_MAX) as client:
            yield cls(client)

    async def agreed(self):
        client = self.client
        return [client.protocol_version, plain(client.server_info), plain(client.server_capabilities), client.instructions]

    async def tools(self):
        return [plain(tool) for tool in await self.client.list_tools()]

    async def call(self, tool, args):
        told = await self.client.call_tool(tool, args, raise_on_error=False)
        content = [plain(part) for part in told.content]
        return {"content": content, "structured": told.structured_content, "data": plain(told.data), "error": told.is_error}

    async def resources(self):
        return [str(resource.uri) for resource in await self.client.list_resources()]

    async def read(self, uri):
        return [plain(part) for part in await self.client.read_resource(uri)]

    async def prompts(self):
        return [plain(prompt) for prompt in await self.client.list_prompts()]


class LangChain:
    """The tools that an agent of LangChain is given, called as its model's tool calls are."""

    def __init__(self, session, tools):
        self.session = session
        self.named = {tool.name: tool for tool in tools}

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, side):
        from langchain_mcp_adapters.client import MultiServerMCPClient
        from langchain_mcp_adapters.tools import load_mcp_tools

        if isinstance(side, dict):
            connection = {"transport": "streamable_http", "url": side["url"], "headers": bearer(side)}
        else:
            connection = {"transport": "stdio", "command": side[0], "args": side[1:]}
        async with MultiServerMCPClient({"server": connection}).session("server") as session:
            yield cls(session, await load_mcp_tools(session))

    async def agreed(self):
        return plain(self.session.get_server_capabilities())

    async def tools(self):
        shown = [(tool.name, tool.description, tool.args_schema, tool.metadata) for tool in self.named.values()]
        return [dict(zip(("name", "description", "args", "metadata"), tool)) for tool in shown]

    async def call(self, tool, args):
        message = await self.named[tool].ainvoke({"type": "tool_call", "id": "1", "name": tool, "args": args})
        # The framework gives every block a random id of its own, and blobs another name than the protocol has and the rules know.
        named = {"base64": "blob"}
        content = [{named.get(name, name): part for name, part in block.items() if name != "id"} for block in message.content]
        return {"content": content, "artifact": plain(message.artifact), "status": message.status}

    async def resources(self):
        if not self.session.get_server_capabilities().resources:
            return []
        return [str(resource.uri) for resource in (await self.session.list_resources()).resources]

    async def read(self, uri):
        from langchain_mcp_adapters.resources import load_mcp_resources

        return [[blob.as_bytes().hex(), blob.mimetype, plain(blob.metadata)] for blob in await load_mcp_resources(self.session, uris=uri)]

    async def prompts(self):
        if not self.session.get_server_capabilities().prompts:
            return []
        return plain(await self.session.list_prompts())["prompts"]


FRAMEWORKS = {"fastmcp": FastMcp, "langchain": LangChain}


def bearer(side):
    return {"Authorization": f"Bearer {side['token']}"} if side.get("token") else {}


def plain(value):
    """As JSON has it, whatever model a framework wraps it in."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.loads(json.dumps(value, default=lambda odd: plain(odd) if hasattr(odd, "model_dump") else vars(odd)))


async def told(doing):
    """What came back, or how the framework told its application that nothing did."""
    try:
        return await doing
    except Exception as error:  # noqa: BLE001, every framework has exceptions of its own
        return {"raised": type(error).__name__, "saying": str(error)}


async def transcript(framework, side, cases):
    steps = []
    cases.prepare()
    async with framework.connected(side) as user:

        async def step(name, rules, doing):
            steps.append((name, rules, await told(doing)))
            return steps[-1][2]

        await step("how the client and the server agreed", [], user.agreed())
        tools = [tool["name"] for tool in await step("the tools", [], user.tools())]
        for case in (case for case in cases.told["calls"] if case["tool"] in tools):
            label = json.dumps(case["args"], ensure_ascii=False)[:60]
            await step(f"call {case['tool']} {label}", case.get("rules", []), user.call(case["tool"], case["args"]))
        resources = await step("the resources", [], user.resources())
        for uri in resources if isinstance(resources, list) else []:
            await step(f"read {uri}", [], user.read(uri))
        await step("the prompts", [], user.prompts())
    return steps


async def run(options):
    tap = Tap()
    cases = Cases(options.server, Path(options.scratch))
    framework = FRAMEWORKS[options.framework]
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            direct = await transcript(framework, side_of(options.direct, cases), cases)
            wrapped = await transcript(framework, side_of(options.wrapped or options.direct, cases), cases)
    except TimeoutError:
        tap.check("the run ends in time", False, f"nothing more after {RUN_SECONDS_MAX} s")
        return tap.finish()
    answered = [value for name, _, value in direct if name.startswith("call ") and "raised" not in value]
    tap.check(f"{options.framework}: the server answers it when asked directly", bool(answered), "no call was answered")
    compare(tap, f"{options.server} with {options.framework}", direct, wrapped)
    note_rules(direct)
    return tap.finish()


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", required=True, choices=sorted(FRAMEWORKS))
    parser.add_argument("--server", required=True, choices=["everything", "filesystem", "memory"])
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--direct", default='["SERVER"]')
    parser.add_argument("--wrapped")
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
