"""Asks whether a step may be done, waits for people, does it, and reports what became of it. Needs the standard library alone.

    GATEWAY=http://127.0.0.1:7070 TOKEN=cst_... python3 step.py ENGINE ACTION ARGUMENTS COMMAND...

ARGUMENTS is a JSON object. Exits with 1 where the answer is no, and else as the command does.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request


class Denied(Exception):
    """The answer is no, with the reason."""


def post(path: str, body: bytes) -> tuple[int, dict]:
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["GATEWAY"] + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def go_ahead(engine: str, action: str, arguments: dict) -> dict:
    """Asks until the answer is yes; the same bytes each time join the question and use its approval."""
    question = json.dumps({"engine": engine, "action": action, "arguments": arguments, "wait_s": 45}).encode()
    while True:
        status, answer = post("/v1/approvals", question)
        if status == 200:
            return answer
        if status not in (202, 429, 503):
            raise Denied(f"{answer.get('reason', status)}: {answer['detail']}")
        print(answer.get("detail") or f"people are asked until {answer['respond_by']}", file=sys.stderr)
        time.sleep(10)


def main() -> int:
    engine, action, arguments, *command = sys.argv[1:]
    try:
        call = go_ahead(engine, action, json.loads(arguments))["call"]
    except Denied as denied:
        print(f"denied: {denied}", file=sys.stderr)
        return 1
    done = subprocess.run(command, check=False)
    report = {"status": "failed" if done.returncode else "done", "note": f"exit code {done.returncode}"}
    status, answer = post(f"/v1/calls/{call}/outcome", json.dumps(report).encode())
    print(json.dumps(answer))
    return done.returncode if status == 200 else 3


if __name__ == "__main__":
    sys.exit(main())
