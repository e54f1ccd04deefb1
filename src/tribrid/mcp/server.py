"""The only file that knows the package mcp: which tools a caller is offered, and errors in words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tribrid.api.auth import Caller, holder
from tribrid.app import Tribrid
from tribrid.errors import MissingExtra, TribridError, Unauthorized
from tribrid.mcp.tools import TOOLS, Tools
from tribrid.types import Scope
from tribrid.version import __version__

INSTRUCTIONS = (
    "Tribrid searches a user's own documents and learns to rank them from what users did. Search first; read whole "
    "documents by their doc_id. Say which result helped by `feedback`, if you have it: the ranking learns from it."
)
READER = Caller("reader", frozenset({Scope.SEARCH, Scope.TRAIN}))
"""Who has no key: whoever starts the program can read the data folder, and an agent of his may no more than that."""


def made_for(tribrid: Tribrid) -> Any:
    """The server with the tools that its environment's key allows.

    Raises:
        MissingExtra: the package mcp is not installed. Unauthorized: nobody has the key.
    """
    try:
        from mcp.server import MCPServer
        from mcp.types import ToolAnnotations
    except ModuleNotFoundError as error:
        raise MissingExtra("mcp", "mcp", "Serving agents") from error
    caller, keyed = caller_now(tribrid), tribrid.environment.mcp_key is not None
    server = MCPServer("tribrid", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tools = Tools(tribrid, functools.partial(caller_now, tribrid))
    for tool in TOOLS:
        if caller.may(*tool.scopes) and (keyed or tool.reads):
            hints = ToolAnnotations(read_only_hint=tool.reads, destructive_hint=False, open_world_hint=False)
            server.add_tool(_in_words(getattr(tools, tool.name)), annotations=hints)
    return server


def caller_now(tribrid: Tribrid) -> Caller:
    """Whose key the environment holds.

    Raises:
        Unauthorized: nobody has it, or it was revoked.
    """
    key = tribrid.environment.mcp_key
    if key is None:
        return READER
    caller = holder(key.strip().encode(), None, tribrid.access_rules())
    if caller is None:
        raise Unauthorized("TRIBRID_MCP_KEY: nobody has this key, or it was revoked. `tribrid keys` lists them.")
    return caller


def _in_words(tool: Callable[..., Any]) -> Callable[..., Any]:
    """The tool, with errors that an agent can read: of others the package tells it nothing."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(tool)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except TribridError as error:
            raise ToolError(error.detail) from error

    return answer
