"""From Python what ``bench`` does from the shell: train, score, predict, and results as pandas DataFrames.

All training, scoring and predicting is done in worker processes, as on the command line: no framework is imported here,
and a script needs no ``if __name__ == "__main__"``. A call that cannot be done raises
``craterbench.plugin.UserError``, whose message names the cure.
"""

from craterbench.api.finished_run import Run, evaluate, predict, predict_files
from craterbench.api.tables import per_image, runs, table
from craterbench.api.train import run, sweep

__all__ = ["Run", "evaluate", "per_image", "predict", "predict_files", "run", "runs", "sweep", "table"]
