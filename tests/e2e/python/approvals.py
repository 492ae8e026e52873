"""A client as it is, with its own time-outs, whose calls wait for people: soon answered, late answered, refused.

    python approvals.py --side SIDE --tool NAME --args JSON --countersign PATH --home DIR --keys JSON

Answered within the time that a call is held, it is as if nothing had been; later than that, the client is told to send the same call again, as a model would. A client that
declares the extension for tasks is answered with a task instead, and sends the call once.
"""

import argparse
import asyncio
import json
import sys
import time

from mcp import Client, StdioServerParameters

from approver import Approver
from tap import Tap
from tasks import Tasks

SOON_S = 5
LATE_S = 90
ROUNDS_MAX = 6


async def main():
    parser = argparse.ArgumentParser()
    for name in ["side", "tool", "args", "countersign", "home", "keys"]:
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    side, arguments = json.loads(options.side), json.loads(options.args)
    approver = Approver(options.countersign, options.home, json.loads(options.keys))
    tap = Tap()
    async with Client(StdioServerParameters(command=side[0], args=side[1:])) as client:

        async def insist(number):
            """Sends the same call until it is answered; gives the answer, the pending results before it, and how long it took."""
            began, pending = time.monotonic(), []
            while True:
                result = await client.call_tool(options.tool, numbered(arguments, number))
                told = result.model_dump(mode="json", by_alias=True).get("_meta") or {}
                if "countersign.dev/approval" not in told:
                    return result, pending, time.monotonic() - began
                pending.append(told["countersign.dev/approval"])
                assert len(pending) < ROUNDS_MAX, "the call is never answered"

        (result, pending, took), _ = await asyncio.gather(insist(1), approver.answer("approve", SOON_S))
        tap.check("soon approved: the call is answered", not result.is_error, str(result))
        tap.check("soon approved: it was held, and the client saw nothing of it", took >= SOON_S and not pending, str(pending))

        (result, pending, took), _ = await asyncio.gather(insist(2), approver.answer("approve", LATE_S))
        tap.check("late approved: the call is answered", not result.is_error, str(result))
        tap.check("late approved: it took as long as people", took >= LATE_S, f"{took}")
        tap.check("late approved: the client was told that it waits", bool(pending), str(pending))
        tap.check("late approved: of one approval", len({told["approval"] for told in pending}) == 1, str(pending))

        (result, pending, took), _ = await asyncio.gather(insist(3), approver.answer("deny", 0))
        tap.check("refused: the call is an error of the tool", result.is_error and not pending, str(result))
        tap.check("refused: with the reason of whoever refused", "looked at it" in str(result), str(result))
    tasks = Tasks()
    async with Client(StdioServerParameters(command=side[0], args=side[1:]), extensions=[tasks]) as client:

        async def once(number):
            tasks.told.clear()
            return await client.call_tool(options.tool, numbered(arguments, number))

        result, asked = await asyncio.gather(once(4), approver.answer("approve", SOON_S))
        told, statuses = [task.status_message for task in tasks.told], [task.status for task in tasks.told]
        tap.check("as a task: the call is answered", not result.is_error and result.content, str(result))
        tap.check("as a task: it was told that people are asked, and then how it ended", statuses[0] == "working" and statuses[-1] == "completed", str(statuses))
        tap.check("as a task: of which approval", asked["approval"] in told[0] and "a person must approve" in told[0], told[0])

        result, _ = await asyncio.gather(once(5), approver.answer("deny", 0))
        tap.check("as a task, refused: the call is an error of the tool", result.is_error and "looked at it" in str(result), str(result))
    return tap.finish()


def numbered(value, number):
    """Arguments with a number in the place of N, so that each round is another call."""
    if isinstance(value, dict):
        return {name: numbered(member, number) for name, member in value.items()}
    if isinstance(value, list):
        return [numbered(item, number) for item in value]
    if value == "N":
        return number
    return value.replace("N", str(number)) if isinstance(value, str) else value


sys.exit(asyncio.run(main()))
