"""The command line: `tribrid <command>`. The library's verbs, with tables and progress bars for people and `--json`
for programs. program.py is the entry.

A command is declared and done in one file, named after what it is about; commands.py lists them all. The other files
are parts: terminal.py, progress.py, events.py (a job's), reports.py, differences.py, reportfiles.py, judgedfiles.py,
assignments.py (NAME=VALUE), ids.py (typed in part), spoken.py (errors that name a route).

`tribrid --help` reads all of these files and must answer at once. So none imports at its top what is slow to import:
library.py opens the library for a command, and the little else that is slow is imported where it is used.
"""

from tribrid.cli.program import main

__all__ = ["main"]
