"""The floor models as pixel models of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier

from craterbench_frameworks.sklearn import PixelModel

if TYPE_CHECKING:
    from craterbench.plugin import NoParameters
    from craterbench_baselines import Logistic

__all__ = ["constant", "logistic"]


class ShareClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts for everything the share of class 1 among all it has been shown."""

    def partial_fit(self, features: npt.NDArray[Any], classes_seen: npt.NDArray[Any], classes: Any = None) -> Any:
        """Count the classes of some more samples, (M, F) and (M,)."""
        shown = np.bincount(classes_seen, minlength=2)
        self.class_count_ = getattr(self, "class_count_", 0) + shown
        return self

    def predict_proba(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return (M, 2)."""
        return np.tile(self.class_count_ / self.class_count_.sum(), (len(features), 1))


def constant(parameters: NoParameters, loss: str, seed: int) -> PixelModel:
    """Build the model that ignores the image; it minimises every proper loss among those that do."""
    return PixelModel(lambda images: np.zeros((images.size, 1)), ShareClassifier())


def logistic(parameters: Logistic, loss: str, seed: int) -> PixelModel:
    """Build scikit-learn's linear classifier, trained by stochastic gradient descent at the harness's rate."""

    def features(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        scales = [2.0**step for step in range(parameters.scales)]
        smoothed = [gaussian_filter(images, (0, scale, scale, 0), mode="reflect") for scale in scales]
        return np.stack([images, *smoothed], axis=-1).reshape(images.size, -1) - np.float32(0.5)

    classifier = SGDClassifier(loss=loss, penalty=None, learning_rate="constant", eta0=1e-3, random_state=seed)
    return PixelModel(features, classifier)
