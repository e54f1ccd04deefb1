"""The command line: `tribrid <command>`. The library's verbs, with tables and progress bars for people and `--json`
for programs. program.py is the entry; each other file holds the commands of one part of the loop, or how they look.

Nothing heavy is imported before a command needs it: `tribrid --help` answers at once.
"""

from tribrid.cli.program import main

__all__ = ["main"]
