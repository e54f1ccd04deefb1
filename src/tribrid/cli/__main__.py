"""`python -m tribrid.cli`, for who has no `tribrid` on the PATH."""

from tribrid.cli.program import main

if __name__ == "__main__":
    main()
