"""A client as it is, whose gateway dies while its call waits for people: the same as ../node/restart.mjs, with the Python client.

    python restart.py --side SIDE --mode legacy|auto --invoice NAME

Its code knows nothing of approvals but what a model is told, and connects anew once a call was lost.
"""

import argparse
import asyncio
import contextlib
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from tap import Tap

ROUNDS_MAX = 60
PAUSE_S = 1


@contextlib.asynccontextmanager
async def connected(side, mode):
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(side, list):
            reached = StdioServerParameters(command=side[0], args=side[1:])
        else:
            http = create_mcp_http_client(headers={"Authorization": f"Bearer {side['token']}"})
            reached = streamable_http_client(side["url"], http_client=await stack.enter_async_context(http))
        yield await stack.enter_async_context(Client(reached, mode=mode))


class Agent:
    """Sends one call until it is answered, as a model does that is told to, and as code does whose connection was lost."""

    def __init__(self, side, mode, arguments):
        self.side = side
        self.mode = mode
        self.arguments = arguments
        self.connections = 0
        self.lost = []

    async def pay(self):
        while len(self.lost) < ROUNDS_MAX:
            try:
                async with connected(self.side, self.mode) as client:
                    self.connections += 1
                    await client.list_tools()
                    return await self.insist(client)
            except Exception as error:
                self.lost.append(repr(error))
            await asyncio.sleep(PAUSE_S)
        return None

    async def insist(self, client):
        while True:
            result = await client.call_tool("send_money", self.arguments)
            told = (result.model_dump(mode="json", by_alias=True).get("_meta") or {}).get("countersign.dev/approval")
            if told is None or told["outcome"] != "pending":
                return result


async def main():
    parser = argparse.ArgumentParser()
    for name in ["side", "mode", "invoice"]:
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    tap = Tap()
    arguments = {"account": "DE02120300000000202051", "amount": 12.5, "invoice": options.invoice}
    agent = Agent(json.loads(options.side), options.mode, arguments)
    result = await agent.pay()
    said = f"{result}, lost: {agent.lost}, connections: {agent.connections}"
    tap.check("the call is answered", result is not None and not result.is_error and "sent 12.50 EUR" in str(result), said)
    tap.check("the gateway's end was seen", bool(agent.lost), said)
    print(f"# {said}")
    return tap.finish()


sys.exit(asyncio.run(main()))
