"""A study as it is shown: progress while it runs, and after it text for the terminal and an HTML page with plots.

Called by ``bench sweep``.
"""
