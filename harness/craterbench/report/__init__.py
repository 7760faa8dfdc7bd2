"""All that people see: progress bars, plots of runs, tables of runs, and pages and texts of studies.

Called by the command line and ``craterbench.api``; progress bars and plots are plugins with hooks. Nothing is computed
here that a file keeps.
"""
