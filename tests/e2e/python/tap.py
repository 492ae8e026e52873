"""Checks as TAP lines, which the runner counts."""


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
