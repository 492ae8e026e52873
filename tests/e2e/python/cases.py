"""What to ask of a server, from ../cases, which the TypeScript clients share; and how the answers of two sides are compared."""

import base64
import json
import re
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = HERE.parent / "cases"
MODULES = HERE.parent / "node" / "node_modules"
RULES = json.loads((CASES / "rules.json").read_text())
SHOWN_CHARS_MAX = 1500


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


def side_of(text, cases):
    """A side of the comparison: a command, with "SERVER" in it spelled out, or where the server is reached by URL."""
    told = json.loads(text)
    if isinstance(told, dict):
        return told
    return [word for part in told for word in (cases.command() if part == "SERVER" else [part])]


def compare(tap, label, direct, wrapped):
    """Checks that both sides took the same steps and that each gave the same answer, but for what the steps' rules settle."""
    rest = list(wrapped)
    for name, rules, value in direct:
        # A step that only one side took is one difference, not the end of all comparison.
        at = next((n for n, (other_name, _, _) in enumerate(rest) if other_name == name), None)
        other = rest.pop(at)[2] if at is not None else None
        left, right = settle(value, rules), settle(other, rules)
        complete = not (isinstance(left, dict) and left.get("missing"))
        details = f"direct:  {show(left)}\nwrapped: {show(right)}"
        tap.check(f"{label}: {name}", at is not None and complete and left == right, details)
    tap.check(f"{label}: no step on one side only", not rest, show([name for name, _, _ in rest]))


def show(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}… ({len(text)} characters)"


def note_rules(steps):
    for rule in sorted({rule for _, rules, _ in steps for rule in rules}):
        print(f"# normalised {rule}: {RULES[rule]['why']}")
