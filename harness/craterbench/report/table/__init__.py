"""The table of runs: its rows, its columns, how sure it is, and how it is shown."""
