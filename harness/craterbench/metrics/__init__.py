"""Metrics, the evaluator that counts their statistics, confidence intervals, and selection bias.

Called by training, which scores with them, and by the search and the reports, which read the statistics of records.
"""
