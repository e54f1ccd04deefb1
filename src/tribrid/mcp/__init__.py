"""The Model Context Protocol: the loop as tools of an agent, over standard input and output.

Without a key an agent can only read. A key of `tribrid keys`, in TRIBRID_MCP_KEY, says more: its scopes decide which
tools there are, its corpora which of them they see. It is looked up anew with every call, so that a revoked one ends at
once.
"""

from __future__ import annotations

from tribrid.app import Tribrid
from tribrid.mcp.server import made_for

__all__ = ["serve"]


def serve(tribrid: Tribrid) -> None:
    """Answer an agent on standard input and output until it hangs up.

    Raises:
        MissingExtra: the package mcp is not installed. Unauthorized: nobody has the key of the environment.
    """
    made_for(tribrid).run("stdio")
