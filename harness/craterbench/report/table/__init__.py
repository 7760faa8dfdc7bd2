"""The table of runs: its rows and columns, their intervals and notes, as text, HTML page and DataFrame.

Called by ``bench table``, ``bench run`` and ``craterbench.api``.
"""
