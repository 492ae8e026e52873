"""Persons who answer what is open, with their own keys and the command line, as people do."""

import asyncio
import json


class Approver:
    """Answers for the persons of ../cases/people.toml."""

    def __init__(self, countersign, home, keys):
        self.countersign = countersign
        self.home = home
        self.keys = keys

    async def run(self, *args):
        process = await asyncio.create_subprocess_exec(
            self.countersign, *args, "--home", self.home, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, f"countersign {' '.join(args)}: {process.returncode}"
        return out.decode()

    async def open(self):
        listed = await self.run("approvals", "list", "--format", "json")
        return [json.loads(line) for line in listed.splitlines()]

    async def answer(self, word, after):
        """Waits for a question, lets `after` seconds pass, and has everybody answer it."""
        while not (asked := await self.open()):
            await asyncio.sleep(0.2)
        await asyncio.sleep(after)
        for key in self.keys:
            await self.run("approvals", word, asked[0]["approval"], "--why", "looked at it", "--key", key)
            if word == "deny":
                break
        return asked[0]
