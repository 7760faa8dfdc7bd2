"""What is measured, and how sure it is: the evaluator, the metrics, their intervals."""
