"""Hyperparameter search: studies of trials with Optuna, their space, and the confirmation of the best.

Called by ``bench sweep`` and ``craterbench.api``; trials run through ``craterbench.execution``.
"""
