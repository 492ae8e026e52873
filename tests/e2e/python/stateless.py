"""A server and a client of the Python SDK in revision 2026-07-28, which has no handshake: asked the same directly and through the gateway, they say the same.

    python stateless.py --direct SIDE --wrapped SIDE
    python stateless.py --serve

A SIDE is a JSON list, the command of a stdio server ("SERVER" in it stands for this file's own server), or a JSON object {"url": ..., "token": ...} for
Streamable HTTP. The client probes `server/discover` and must find the revision. With --serve this is the server, over stdio.
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
from mcp.server.mcpserver import Context, MCPServer
from tap import Tap

REVISION = "2026-07-28"
RUN_SECONDS_MAX = 120
AT_ONCE = 16


def server():
    made = MCPServer("stateless", version="1.0", instructions="For tests.")

    @made.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @made.tool()
    async def steps(count: int, ctx: Context) -> str:
        """Reports progress."""
        for step in range(count):
            await ctx.report_progress(step + 1, count, f"step {step + 1}")
        return "done"

    @made.tool()
    def fail() -> str:
        """Always fails."""
        raise ValueError("as asked")

    @made.tool()
    async def form(ctx: Context) -> str | types.InputRequiredResult:
        """Asks who is there, and answers in the next round."""
        if not ctx.input_responses:
            schema = {"type": "object", "properties": {"name": {"type": "string"}}}
            asked = types.ElicitRequest(params=types.ElicitRequestFormParams(message="Who?", requested_schema=schema))
            return types.InputRequiredResult(input_requests={"who": asked}, request_state="the server's own")
        name = ctx.input_responses["who"].content["name"]
        return f"{name}, with {ctx.request_state!r}"

    @made.resource("note://one")
    def note() -> str:
        """A note."""
        return "one"

    @made.prompt()
    def greet(name: str) -> str:
        """Greets."""
        return f"Greet {name}."

    return made


@contextlib.asynccontextmanager
async def connected(side, asked):
    async def on_elicitation(_context, params):
        asked.append(params.model_dump(mode="json", by_alias=True, exclude_none=True))
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async with contextlib.AsyncExitStack() as stack:
        if isinstance(side, list):
            reached = StdioServerParameters(command=side[0], args=side[1:])
        else:
            headers = {"Authorization": f"Bearer {side['token']}"}
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60)))
            reached = streamable_http_client(side["url"], http_client=http)
        client = Client(reached, mode="auto", elicitation_callback=on_elicitation, cache=None)
        yield await stack.enter_async_context(client)


async def answer(send):
    """What came back, as JSON: the result, or the error as the protocol carried it."""
    try:
        return {"result": (await send).model_dump(mode="json", by_alias=True, exclude_none=True)}
    except MCPError as error:
        return {"error": error.error.model_dump(mode="json", exclude_none=True)}


async def transcript(side):
    said, asked, progress = [], [], []

    async def on_progress(done, total, message):
        progress.append([done, total, message])

    async with connected(side, asked) as client:

        async def step(name, send):
            said.append((name, await answer(send)))

        said.append(("the revision", client.protocol_version))
        said.append(("the server", client.server_info.model_dump(mode="json", exclude_none=True)))
        said.append(("its capabilities", client.server_capabilities.model_dump(mode="json", exclude_none=True)))
        said.append(("its instructions", client.instructions))
        await step("tools/list", client.list_tools())
        await step("resources/list", client.list_resources())
        await step("resources/templates/list", client.list_resource_templates())
        await step("prompts/list", client.list_prompts())
        await step("tools/call add", client.call_tool("add", {"a": 1, "b": 2}))
        await step("tools/call add without an argument", client.call_tool("add", {"a": 1}))
        await step("tools/call fail", client.call_tool("fail", {}))
        await step("tools/call steps", client.call_tool("steps", {"count": 3}, progress_callback=on_progress))
        said.append(("its progress", progress))
        await step("tools/call form", client.call_tool("form", {}))
        said.append(("what it asked", asked))
        await step("resources/read", client.read_resource("note://one"))
        await step("resources/read of what is not there", client.read_resource("note://two"))
        await step("prompts/get", client.get_prompt("greet", {"name": "Eve"}))
        at_once = [answer(client.call_tool("add", {"a": n, "b": n})) for n in range(AT_ONCE)]
        said.append((f"{AT_ONCE} calls at once", await asyncio.gather(*at_once)))
    return said


async def run(options):
    tap = Tap()
    own = [sys.executable, str(Path(__file__).resolve()), "--serve"]

    def side_of(text):
        side = json.loads(text)
        return [part for word in side for part in (own if word == "SERVER" else [word])] if isinstance(side, list) else side

    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            direct = await transcript(side_of(options.direct))
            wrapped = await transcript(side_of(options.wrapped))
    except TimeoutError:
        tap.check("the run ends in time", False, f"nothing more after {RUN_SECONDS_MAX} s")
        return tap.finish()
    tap.check(f"the client found revision {REVISION}", direct[0][1] == REVISION, str(direct[0]))
    for (name, expected), (_, found) in zip(direct, wrapped, strict=True):
        tap.check(f"{name}: the same through the gateway", found == expected, f"direct:  {expected}\ngoverned: {found}")
    return tap.finish()


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--direct", default='["SERVER"]')
    parser.add_argument("--wrapped", default='["SERVER"]')
    options = parser.parse_args()
    if options.serve:
        server().run("stdio")
        return
    sys.exit(asyncio.run(run(options)))


if __name__ == "__main__":
    main()
