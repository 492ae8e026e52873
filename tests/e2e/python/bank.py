"""The bank of ../node/bank.mjs with the Python SDK, which speaks revisions with and without a handshake: one line of JSON for each transfer.

    python bank.py TRANSFERS
"""

import json
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer


def main():
    transfers = Path(sys.argv[1])
    bank = MCPServer("bank", version="1.0")

    @bank.tool()
    def send_money(account: str, amount: float, invoice: str) -> str:
        """Sends money from the company's account. It cannot be taken back."""
        with transfers.open("a") as file:
            file.write(json.dumps({"account": account, "amount": amount, "invoice": invoice}) + "\n")
        return f"sent {amount:.2f} EUR to {account} for {invoice}"

    bank.run("stdio")


main()
