"""The files of a results folder: records, weights, checkpoints, statistics and parity verdicts, read and written.

Called by execution, search and reports, which open none of these files themselves.
"""
