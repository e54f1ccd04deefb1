"""The command line: `tribrid <command>`. The library's verbs, with tables and progress bars for people and `--json`
for programs. program.py is the entry.

What can be typed, with its help, stands in commands.py, and for some commands in evalset.py, experimenting.py,
keeping.py and report_commands.py. What a command does stands in the file that its function there imports.

Nothing heavy is imported before a command needs it: `tribrid --help` answers at once.
"""

from tribrid.cli.program import main

__all__ = ["main"]
