"""Training, evaluation and prediction, the same for every framework: augmentation, the epoch loop, early stopping.

Runs in a worker process. Called by ``craterbench.execution.worker``; a framework plugin implements ``Session``.
"""
