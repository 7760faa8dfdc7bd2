"""What every session of a network promises; each framework's tests subclass it and name the framework."""

from __future__ import annotations

import loss_cases
import numpy as np
import pytest
from processes import trained_and_evaluated
from resuming import check_every_epoch
from scored import scores

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import IGNORED
from craterbench.execution.devices import environment
from craterbench.execution.worker import WorkerProcess
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import LOSS
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.training.experiment import train_and_evaluate
from craterbench.training.fit import batches_of
from craterbench.training.session import open_session

SMALL = ("dataset.name=synthetic", "dataset.images=40", "dataset.test_images=8", "dataset.size=16", "model.filters=4")


def arrays(number: int = 40):
    generator = np.random.default_rng(0)
    images = generator.uniform(size=(number, 16, 16, 1)).astype(np.float32)
    return images, (images > 0.7).astype(np.uint8)


def rates(batches, rate=1e-3):
    return np.full(len(batches), rate)


def rows(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


class SessionContract:
    framework: str

    def small(self, *settings: str):
        overrides = [parse_override(setting) for setting in (f"framework={self.framework}", *SMALL, *settings)]
        return resolve(Registry.installed(), "reference", overrides).benchmark

    def opened(self, *settings: str, seed: int = 1):
        return open_session(self.small(*settings), image_shape=(16, 16), seed=seed, device="cpu")

    def test_weights_go_out_and_in(self):
        session = self.opened()
        images, masks = arrays()
        batches = batches_of(np.arange(40), 32)
        before, predicted = session.weights(), session.predict(images)
        session.train_epoch(images, masks, batches, rates(batches))
        assert (session.predict(images) != predicted).any()
        session.load_weights(before)
        np.testing.assert_array_equal(session.predict(images), predicted)

    def test_it_starts_from_the_weights_that_numpy_draws(self):
        from craterbench_unet.initial import weights

        benchmark = self.small()
        seed = int(np.random.SeedSequence(1).generate_state(2)[0])
        drawn = weights(benchmark.model.parameters, (16, 16), seed)
        started = self.opened().weights()
        assert started.keys() == drawn.keys()
        for name, array in drawn.items():
            np.testing.assert_array_equal(started[name], array)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda w: {k: v for k, v in w.items() if k != "output.bias"}, r"output\.bias is missing"),
            (lambda w: w | {"extra.bias": w["output.bias"]}, r"extra\.bias is unknown"),
            (
                lambda w: {k.replace("output", "last"): v for k, v in w.items()},
                r"last\.bias is unknown, .*output\.bias is missing",
            ),
            (
                lambda w: w | {"output.kernel": w["output.kernel"].transpose(0, 1, 3, 2)},
                r"output\.kernel has shape \(1, 1, 1, 4\), not \(1, 1, 4, 1\)",
            ),
        ],
    )
    def test_weights_that_do_not_fit_are_refused_and_named(self, change, said):
        session = self.opened()
        with pytest.raises(UserError, match=said):
            session.load_weights(change(session.weights()))

    def test_weights_of_another_depth_are_refused(self):
        with pytest.raises(UserError, match=r"bottleneck_conv_1\.kernel has shape"):
            self.opened().load_weights(self.opened("model.depth=2").weights())

    def test_a_rate_of_nothing_moves_nothing_and_each_step_has_its_own(self):
        session = self.opened()
        images, masks = arrays()
        batches = batches_of(np.arange(40), 10)
        before = session.weights()
        session.train_epoch(images, masks, batches, rates(batches, 0.0))
        assert all((before[name] == array).all() for name, array in session.weights().items())
        session.train_epoch(images, masks, batches, np.array([0.0, 0.0, 0.0, 1e-3]))
        assert any((before[name] != array).any() for name, array in session.weights().items())

    def test_the_objective_is_the_mean_over_images_of_the_loss(self):
        images, masks = arrays()
        session = self.opened("model.dropout=0")
        batches = batches_of(np.arange(40), 32)  # 32 and 8: a mean over batches would be another number
        expected = Evaluator(images, masks, np.arange(40)).count(session.predict(images)).value(LOSS)
        objective = session.train_epoch(images, masks, batches, rates(batches, 0.0))
        assert objective == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("name", ["bce", "dice", "focal", "bce-dice"])
    def test_what_it_minimises_is_the_loss_of_its_definition(self, name):
        images, masks = arrays(6)
        session = self.opened(f"loss.name={name}", "model.dropout=0")
        expected, _ = loss_cases.oracle(name)(masks, session.predict(images))
        batches = [np.arange(6)]
        assert session.train_epoch(images, masks, batches, np.array([1e-2])) == pytest.approx(expected, rel=1e-5)
        later = [session.train_epoch(images, masks, batches, np.array([1e-2])) for _ in range(10)]
        assert later[-1] < expected

    def test_ignored_pixels_move_no_weight(self):
        images, masks = arrays(8)
        masks[5:] = IGNORED
        all_batches, known_batches = [np.arange(8)], [np.arange(5)]
        some, known, never = (self.opened("model.dropout=0", "training.precision=float64") for _ in range(3))
        for _ in range(2):
            objective = some.train_epoch(images, masks, all_batches, rates(all_batches))
            assert objective == pytest.approx(known.train_epoch(images, masks, known_batches, rates(known_batches)))
        expected = known.weights()
        for name, array in some.weights().items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-6, atol=1e-9, err_msg=name)
        # and an epoch without such pixels is to the digit what it is in a session that never saw any
        never.load_state(some.state())
        for session in (some, never):
            session.train_epoch(images[:5], masks[:5], known_batches, rates(known_batches))
        for name, array in some.weights().items():
            np.testing.assert_array_equal(array, never.weights()[name])

    def test_a_probe_leaves_ignored_pixels_out(self):
        images, masks = arrays(8)
        session = self.opened("model.dropout=0", "training.precision=float64")
        few = session.capture_activations(images[:5], masks[:5])
        masks[5:] = IGNORED
        many = session.capture_activations(images, masks)
        for name, array in few.items():
            if not name.startswith("activation"):
                np.testing.assert_allclose(many[name], array, rtol=1e-6, atol=1e-9, err_msg=name)

    def test_a_probe_changes_nothing_of_what_training_leaves_out(self):
        images, masks = arrays(8)
        unknown = masks.copy()
        unknown[5:] = IGNORED
        batches = [np.arange(8)]
        probed, plain = (self.opened("model.dropout=0") for _ in range(2))
        for session in (probed, plain):
            session.train_epoch(images, masks, batches, rates(batches))
        probed.capture_activations(images, unknown)
        for session in (probed, plain):
            session.train_epoch(images, unknown, batches, rates(batches))
        for name, array in probed.weights().items():
            np.testing.assert_array_equal(array, plain.weights()[name], err_msg=name)

    def test_images_are_padded_where_the_depth_does_not_divide_them(self):
        images, masks = arrays(8)
        images, masks = images[:, :11, :13], masks[:, :11, :13]
        with pytest.raises(UserError, match=r"training\.pad=true"):
            open_session(self.small(), image_shape=(11, 13), seed=1, device="cpu")
        settings = "training.pad=true", "model.dropout=0"
        session = open_session(self.small(*settings), image_shape=(11, 13), seed=1, device="cpu")
        batches = batches_of(np.arange(8), 4)
        probabilities = session.predict(images)
        assert probabilities.shape == images.shape
        expected = Evaluator(images, masks, np.arange(8)).count(probabilities).value(LOSS)
        assert session.train_epoch(images, masks, batches, rates(batches, 0.0)) == pytest.approx(expected, rel=1e-5)
        padded = np.pad(images, ((0, 0), (2, 3), (1, 2), (0, 0)), mode="reflect")
        whole = self.opened("model.dropout=0").predict(padded)
        np.testing.assert_allclose(probabilities, whole[:, 2:13, 1:14], rtol=1e-6)

    def test_padding_changes_nothing_where_the_size_fits(self):
        assert type(self.opened("training.pad=true")) is type(self.opened())

    @pytest.mark.parametrize(
        "settings",
        [
            ("model.dropout=0.3",),
            (
                "model.dropout=0.3",
                "optimizer.name=sgd",
                "optimizer.learning_rate=0.1",
                "augmentation.drawn=every-epoch",
            ),
        ],
    )
    def test_a_run_goes_on_from_any_epoch_to_the_same_digits(self, settings, tmp_path):
        check_every_epoch(self.small("training.epochs=3", *settings), tmp_path)

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
    def test_what_goes_on_from_a_state_gets_the_digits_of_what_never_stopped(self, optimizer):
        images, masks = arrays()
        batches = batches_of(np.arange(40), 10)
        setting = f"optimizer.name={optimizer}", "optimizer.learning_rate=1e-3"
        unbroken = self.opened(*setting)
        unbroken.train_epoch(images, masks, batches, rates(batches))
        state = unbroken.state()
        unbroken.train_epoch(images, masks, batches, rates(batches))
        resumed = self.opened(*setting, seed=2)  # other weights, and other dropout to come
        resumed.load_state(state)
        resumed.train_epoch(images, masks, batches, rates(batches))
        for name, array in unbroken.weights().items():
            np.testing.assert_array_equal(resumed.weights()[name], array)

    def test_a_probe_agrees_with_predictions_and_changes_nothing(self):
        images, masks = arrays(8)
        session = self.opened("model.dropout=0")
        before = session.state()
        found = session.capture_activations(images, masks)
        np.testing.assert_allclose(found["activation output"], session.predict(images), rtol=1e-6)
        for name, array in session.state().items():
            np.testing.assert_array_equal(array, before[name])

    def test_gradients_of_a_probe_are_those_of_finite_differences(self):
        images, masks = arrays(8)
        session = self.opened("model.dropout=0", "training.precision=float64")
        weights = session.weights()
        found = session.capture_activations(images, masks)
        generator = np.random.default_rng(3)
        for name in ("down_1_conv_1.kernel", "up_3_up.kernel", "bottleneck_conv_2.kernel", "output.bias"):
            direction = generator.normal(size=weights[name].shape)
            objectives = []
            for step in (1e-6, -1e-6):
                session.load_weights(weights | {name: weights[name] + step * direction})
                objectives.append(float(session.capture_activations(images, masks)["objective"]))
            slope = (objectives[0] - objectives[1]) / 2e-6
            assert float((found[f"gradient {name}"] * direction).sum()) == pytest.approx(slope, rel=1e-5)

    def test_same_seed_and_threads_give_the_same_digits_fresh_or_warm_and_another_seed_others(self, tmp_path):
        framework = Registry.installed().get("framework", self.framework)
        variables = environment(threads=2, device="cpu", framework=framework.environment)
        benchmark = self.small("training.epochs=3")

        def trained(child, seed):
            log = tmp_path / "log.txt"
            return trained_and_evaluated(child, benchmark, seed=seed, log=log)

        with WorkerProcess(variables) as child:
            first, other, warm = (trained(child, seed) for seed in (5, 6, 5))
        with WorkerProcess(variables) as child:
            fresh = trained(child, 5)
        assert rows(first.training.history) == rows(warm.training.history) == rows(fresh.training.history)
        assert rows(first.training.history) != rows(other.training.history)
        for name, array in fresh.training.best_weights.items():
            np.testing.assert_array_equal(array, warm.training.best_weights[name])
        assert first.start.device == "cpu"

    def test_a_network_learns_synthetic_craters_and_is_scored_with_its_best_weights(self):
        asked = ("dataset.images=120", "dataset.size=32", "training.epochs=12", "model.filters=8")
        outcome = train_and_evaluate(self.small(*asked), seed=1)
        losses = [row["val_loss"] for row in outcome.training.history]
        assert outcome.training.best_epoch == 1 + int(np.argmin(losses))
        scored = scores(outcome.scored["validation"].statistics)
        assert scored["loss"] == min(losses)
        assert scored["loss"] < losses[0]
