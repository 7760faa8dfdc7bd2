"""Losses by the names that ``sklearn.linear_model.SGDClassifier`` has for them."""

__all__ = ["bce"]

bce = "log_loss"
