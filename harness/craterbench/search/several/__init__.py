"""Several benchmarks searched with equal budgets: what defines each is kept, and all else is varied alike in all.

Called by ``craterbench.report.live``, the command line and ``craterbench.api``; each search is a study like any other.
"""
