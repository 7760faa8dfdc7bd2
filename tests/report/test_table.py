from __future__ import annotations

import statistics

import numpy as np
import pytest
from made_runs import counts, run
from scored import scores
from tables import notes, rendered, rows

from craterbench.metrics.intervals import confidence_interval, difference, minimum_detectable_difference
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import UserError
from craterbench.report.table.table import tabulate
from craterbench.results.parity_verdicts import Verdict, write_verdict


def accuracies(records, part="validation"):
    return [scores(record.parts[part]["statistics"])["balanced_accuracy"] for record in records]


def test_a_row_is_the_mean_and_deviation_over_seeds(store):
    records = [run(store, "reference", seed) for seed in (1, 2, 3)]
    (row,) = rows(store)
    values = accuracies(records)
    assert float(row["validation_balanced_accuracy"]) == statistics.fmean(values)
    assert float(row["validation_balanced_accuracy_sd"]) == statistics.stdev(values)
    assert (row["runs"], row["epochs"], row["seconds"], row["peak_memory_mib"]) == ("3 done", "12.0", "3.0", "2.0")
    rims = [scores(record.parts["validation"]["statistics"], "rim")["balanced_accuracy"] for record in records]
    assert float(row["validation_rim_balanced_accuracy"]) == statistics.fmean(rims)


@pytest.mark.parametrize("score", ["balanced_accuracy", "loss"])
def test_an_interval_is_that_of_the_counts_of_all_seeds(store, score):
    for seed in (1, 2, 3):
        run(store, "reference", seed)
    expected = confidence_interval(
        [counts("test", ("reference", seed, None), 0.8) for seed in (1, 2, 3)], Metrics().get(score)
    )
    (row,) = rows(store, test=True)
    assert float(row[f"test_{score}_low"]) == expected.low
    assert float(row[f"test_{score}_high"]) == expected.high


def test_a_difference_is_to_the_reference_on_the_same_images_and_seeds(store):
    for seed in (1, 2, 3):
        run(store, "reference", seed)
    for seed in (2, 3, 4):
        run(store, "dice", seed, skill=0.9)
    of = {name: {s: counts("validation", (name, s, None), skill) for s in (1, 2, 3, 4)}
          for name, skill in (("reference", 0.8), ("dice", 0.9))}  # fmt: skip
    expected = difference({s: of["dice"][s] for s in (2, 3)}, {s: of["reference"][s] for s in (2, 3)})
    reference, dice = rows(store)
    assert [float(dice[f"validation_difference{end}"]) for end in ("", "_low", "_high")] == [
        expected.mean, expected.low, expected.high,
    ]  # fmt: skip
    assert [float(reference[f"validation_difference{end}"]) for end in ("", "_low", "_high")] == [0, 0, 0]
    assert "compared over the seeds that reference has too: dice 2 of 3" in notes(store)


def test_there_is_no_difference_where_no_seed_is_shared_or_the_yardstick_is_another(store):
    run(store, "reference", 1)
    run(store, "dice", 2)
    run(store, "as-published", 1, validation="others", protocol="after augmentation")
    _, dice, published = rows(store, test=True)
    assert dice["validation_by_group_difference"] == dice["test_difference"] == ""
    assert published["validation_after_augmentation_difference"] == published["validation_by_group_difference"] == ""
    assert published["test_difference"] != ""


def test_there_is_no_difference_between_what_two_evaluators_counted_on_the_same_images(store):
    reference, dice = run(store, "reference"), run(store, "dice")
    dice.parts["validation"]["fingerprint"] = "of an older evaluator"
    table = tabulate(store, [reference, dice], columns=["validation_difference"])
    assert [[cell and cell.mean for cell in row] for row in table.cells] == [[0.0, None], [None, None]]


def test_the_reference_is_the_one_with_the_fewest_changes_and_is_named_if_it_has_some(store):
    run(store, "reference", overrides=["model.depth=2"], definition="other", skill=0.7)
    run(store, "dice")
    assert "differences are to reference model.depth=2" in notes(store)
    run(store, "reference")
    by_name = {row["benchmark"]: row for row in rows(store)}
    assert float(by_name["reference"]["validation_difference"]) == 0
    assert float(by_name["reference model.depth=2"]["validation_difference"]) < 0
    assert "differences are to" not in notes(store)


def test_of_two_versions_of_the_reference_the_newer_is_compared_with_and_both_are_told_apart(store):
    for version, skill in ((1, 0.6), (2, 0.9)):
        environment = {"components": {"framework sklearn": 1, "loss bce": version}}
        for seed in (1, 2):
            run(store, "reference", seed, definition=f"bce {version}", skill=skill, environment=environment)
    newest = store.records()[0][-1]
    for seed in (1, 2):
        run(store, "dice", seed, skill=0.8)
    older, newer, dice = rows(store)
    assert float(newer["validation_difference"]) == 0
    key = "validation_balanced_accuracy"
    for row in (older, dice):
        apart = float(row[key]) - float(newer[key])
        assert float(row["validation_difference"]) == pytest.approx(apart, abs=1e-12)
    assert "\nreference (2 rows): loss bce 1 and 2\n" in notes(store) + "\n"
    assert f"differences are to the reference with the newest run, {newest.id}" in notes(store)


def test_rows_of_one_name_are_told_apart_by_data_and_by_what_else_was_defined(store):
    run(store, "reference", definition="0123456789")
    run(store, "reference", definition="abcdefghij", dataset={"name": "npz", "digest": "e"}, validation="others")
    assert "reference (2 rows): config 01234567 and abcdefgh, data mars-hrsc d and npz e" in notes(store)
    folds(store, "dice", seeds=(1,))
    run(store, "dice")
    assert "dice (2 rows)" not in notes(store)  # the folds have a column, and a heading


def test_the_smallest_difference_that_could_be_seen_is_said(store):
    for seed in (1, 2, 3):
        run(store, "reference", seed)
        run(store, "dice", seed)
    groups = len(np.unique(counts("validation", 0, 0.5).groups))
    said = f"validation: with 24 images in {groups} groups and 3 seeds, a true difference of balanced accuracy"
    assert said in notes(store)
    assert "leaves out what another seed" not in notes(store)


def test_a_validation_loss_that_all_rows_share_keeps_its_column(store):
    record = run(store, "reference")
    loss = scores(record.parts["validation"]["statistics"])["loss"]
    text = rendered(store, "markdown", columns=None)
    assert "| validation loss |" in text
    assert f"| {loss:.4f} [" in text
    assert "all rows: framework sklearn, loss bce, monitor val_loss" in text
    assert "Spread" not in text


def test_one_seed_is_said_to_know_nothing_of_others(store):
    run(store, "reference")
    assert "an interval over one seed leaves out what another seed would change" in notes(store)


def test_a_difference_paired_over_one_seed_is_said_to_know_nothing_of_others(store):
    for seed in (1, 2, 3):
        run(store, "reference", seed)
        run(store, "focal", seed, skill=0.85)
    for seed in (3, 4, 5):
        run(store, "dice", seed, skill=0.9)
    said = notes(store)
    assert "one seed leaves out what another seed would change; differences over one seed: dice\n" in said
    groups = len(np.unique(counts("validation", 0, 0.5).groups))

    def smallest(name, skill, seeds):
        sides = [{seed: counts("validation", (of, seed, None), how) for seed in seeds}
                 for of, how in ((name, skill), ("reference", 0.8))]  # fmt: skip
        return f"{minimum_detectable_difference(*sides):.2g} would mostly go unseen"

    several, one = (line for line in said.splitlines() if "go unseen" in line)
    assert f"in {groups} groups and 3 seeds, " in several
    assert several.endswith(f"below about {smallest('focal', 0.85, (1, 2, 3))}")
    assert f"in {groups} groups and 1 seed, " in one
    assert one.endswith(f"below about {smallest('dice', 0.9, (3,))}")


def test_folds_of_one_seed_that_tested_are_not_taken_for_seeds(store):
    for name in ("reference", "dice"):
        folds(store, name, seeds=(1,))
    assert "3 runs of one seed, a true difference" in notes(store, test=True)


def test_a_row_whose_runs_had_other_threads_devices_or_packages_says_so(store):
    cpu = {"threads": 1, "device": "cpu", "packages": {"numpy": "2.0", "torch": "2.6"}}
    gpu = {"threads": 2, "device": "gpu", "packages": {"numpy": "2.0", "torch": "2.13"}}
    for seed in (1, 2, 3):
        run(store, "reference", seed, environment=cpu)
        run(store, "dice", seed, environment=gpu if seed == 2 else cpu)
        run(store, "unknown", seed, environment={} if seed == 2 else gpu)
    told = [line for line in notes(store).splitlines() if ": runs with" in line]
    assert told == ["dice: runs with threads 1 and 2, device cpu and gpu, torch 2.6 and 2.13"]
    assert rows(store)[1]["validation_balanced_accuracy"]


def test_parity_is_the_newest_verdict_that_stands_even_if_it_came_after_the_run(store):
    environment = {"components": {"framework torch": 1, "loss bce": 2}, "packages": {"torch": "2.13"}, "device": "cpu"}
    older = {**environment, "components": {"framework torch": 1, "loss bce": 1}}
    run(store, "before", environment=environment)
    run(store, "judged", environment=environment, parity="different")
    run(store, "elsewhere", environment=older, parity="different")
    run(store, "unjudged", environment=older)
    for key in environment:
        run(store, f"no {key}", environment={name: value for name, value in environment.items() if name != key})
    parities = [row["parity"] for row in rows(store)]
    assert parities == ["", "different", "different", "", "", "", ""]
    for number, verdict in enumerate(("different", "equal")):
        fields = {key: environment[key] for key in ("components", "packages", "device")}
        benchmarks = ("reference", "torch-twin")
        made = Verdict(
            id=f"2026-{number}", benchmarks=benchmarks, verdict=verdict, precisions=("float64", "float32"), **fields
        )
        write_verdict(store.root, made)
    assert [row["parity"] for row in rows(store)] == ["equal", "equal", "different", "", "", "", ""]


def test_of_runs_that_repeat_each_other_the_newest_counts(store):
    run(store, "reference", 1, skill=0.6)
    newest = run(store, "reference", 1, skill=0.9)
    (row,) = rows(store)
    assert row["runs"] == "1 done"
    assert [float(row["validation_balanced_accuracy"])] == accuracies([newest])


def test_numbers_on_different_yardsticks_never_share_a_column(store):
    ours = run(store, "reference")
    theirs = run(store, "as-published", validation="others", protocol="after augmentation, masks not warped")
    reference, published = rows(store, test=True)
    by_group = "validation_by_group_balanced_accuracy"
    after = "validation_after_augmentation_masks_not_warped_balanced_accuracy"
    assert [float(reference[by_group])] == accuracies([ours])
    assert reference[after] == published[by_group] == ""
    assert [float(published[after])] == accuracies([theirs])
    assert reference["test_balanced_accuracy"]
    assert published["test_balanced_accuracy"]


def test_more_yardsticks_than_letters_still_have_columns_of_their_own(store):
    for number in range(30):
        run(store, f"b{number}", validation=f"images {number}")
    for row in rows(store):
        keys = [k for k, v in row.items() if k.endswith("_balanced_accuracy") and k.startswith("validation") and v]
        assert len([key for key in keys if "rim" not in key and "interior" not in key]) == 1


def test_what_the_command_line_changed_is_a_row_of_its_own(store):
    run(store, "reference")
    run(store, "reference", overrides=["training.epochs=3"], definition="other")
    assert [row["benchmark"] for row in rows(store)] == ["reference", "reference training.epochs=3"]


def test_what_the_command_line_changed_in_all_rows_is_said_once(store):
    for name in ("reference", "dice"):
        run(store, name, overrides=["training.epochs=3"])
    assert "training.epochs=3" in rendered(store, columns=("benchmark",), whole_names=True)
    shown = rendered(store, "rich", columns=("benchmark",))
    assert shown.count("training.epochs=3") == 1
    assert "all rows: training.epochs=3" in shown


def test_the_same_definition_on_other_data_is_a_row_of_its_own(store):
    run(store, "reference")
    run(store, "reference", dataset={"name": "npz", "digest": "e"}, validation="others", test="others")
    assert len(rows(store)) == 2
    assert "validation_npz_loss" in rows(store)[0]


def test_failures_stay_visible(store):
    run(store, "reference", 1)
    run(store, "reference", 2, status="failed")
    run(store, "dice", 1, status="failed")
    reference, dice = rows(store)
    assert reference["runs"] == "1 done, 1 failed"
    assert reference["validation_balanced_accuracy"]
    assert dice["runs"] == "1 failed"
    assert dice["validation_balanced_accuracy"] == ""


def test_warnings_have_a_column_and_lines(store):
    run(store, "reference", 1, warnings=["2 images are in two parts"])
    run(store, "reference", 2, warnings=["2 images are in two parts", "masks are moved"])
    (row,) = rows(store)
    assert row["warnings"] == "2 images are in two parts; masks are moved"
    shown = rendered(store, "rich", columns=None)
    assert "warnings" in shown
    assert "reference: warning: 2 images are in two parts" in shown


def folds(store, name, seeds=(1, 2), of=3, **changes):
    return [
        run(store, name, seed, fold=f"{fold}/{of}", validation=f"fold {fold}", **changes)
        for seed in seeds
        for fold in range(1, of + 1)
    ]


def test_folds_are_pooled_seed_by_seed_and_stand_apart_from_a_single_split(store):
    run(store, "reference")
    records = folds(store, "reference")
    folds(store, "dice", skill=0.9)
    single, folded, dice = rows(store, test=True)
    assert float(single["test_difference"]) == 0
    key = "validation_3_folds_balanced_accuracy"
    assert single[key] == folded["validation_balanced_accuracy"] == ""

    def of(name, skill, seed):
        drawn = [counts(f"fold {fold}", (name, seed, f"{fold}/3"), skill) for fold in (1, 2, 3)]
        return Statistics.concatenate(sorted(drawn, key=lambda each: order.index(each.groups.tolist())))

    by_yardstick = sorted(records[:3], key=lambda record: record.parts["validation"]["fingerprint"])
    order = [counts(f"fold {record.fold[0]}", 0, 0.5).groups.tolist() for record in by_yardstick]
    ours = {seed: of("reference", 0.8, seed) for seed in (1, 2)}
    expected = confidence_interval(list(ours.values()))
    assert float(folded[f"{key}_low"]) == pytest.approx(expected.low, abs=1e-12)
    for score in ("balanced_accuracy", "loss", "sensitivity", "specificity", "dice", "iou"):
        values = [scores(each)[score] for each in ours.values()]
        name = f"validation_3_folds_{score}"
        assert float(folded[name]) == pytest.approx(statistics.fmean(values), abs=1e-12)
        assert float(folded[f"{name}_sd"]) == pytest.approx(statistics.stdev(values), abs=1e-12)
    rims = [scores(each, "rim")["balanced_accuracy"] for each in ours.values()]
    assert float(folded["validation_3_folds_rim_balanced_accuracy"]) == pytest.approx(statistics.fmean(rims), abs=1e-12)
    gained = difference({seed: of("dice", 0.9, seed) for seed in (1, 2)}, ours)
    assert float(dice["validation_3_folds_difference"]) == pytest.approx(gained.mean, abs=1e-12)
    assert float(dice["test_difference_low"]) > 0  # each fold against the reference's run on the same fold
    alone = accuracies(records)
    means = [statistics.fmean(alone[fold::3]) for fold in range(3)]
    assert f"over folds: reference {statistics.stdev(means):.4f}, dice" in notes(store)


def test_mean_interval_and_difference_of_folds_are_of_one_quantity(store):
    skills = {"1/3": 0.99, "2/3": 0.55, "3/3": 0.6}
    for name, less in (("reference", 0.0), ("dice", 0.02)):
        for seed in (1, 2):
            for number, (fold, skill) in enumerate(skills.items()):
                images = 4 if number == 0 else 60  # a small fold that is easy moves a mean over folds, not the pooled
                run(store, name, seed, fold=fold, validation=f"fold {fold}", skill=skill - less, num_images=images)
    reference, dice = rows(store)
    for row in (reference, dice):
        for score in ("balanced_accuracy", "loss"):
            low, mean, high = (float(row[f"validation_3_folds_{score}{end}"]) for end in ("_low", "", "_high"))
            assert low <= mean <= high
    key = "validation_3_folds_balanced_accuracy"
    apart = float(dice[key]) - float(reference[key])
    assert float(dice["validation_3_folds_difference"]) == pytest.approx(apart, abs=1e-12)


def test_folds_that_are_not_all_there_are_compared_with_nothing(store):
    folds(store, "reference")
    folds(store, "dice", seeds=(1,))
    run(store, "dice", 2, fold="1/3", validation="fold 1")
    reference, dice = rows(store)
    assert dice["validation_3_folds_balanced_accuracy"] == ""
    assert dice["validation_3_folds_incomplete_balanced_accuracy"]
    assert dice["validation_3_folds_incomplete_balanced_accuracy_low"] == ""
    assert reference["validation_3_folds_balanced_accuracy_low"]


def test_any_key_of_a_config_or_a_record_is_a_column(store):
    for seed, rate in ((1, 0.5), (2, 1.5)):
        run(
            store,
            "reference",
            seed,
            **{"model.filters": 16, "optimizer.learning_rate": 1e-3, "seconds": {"scoring": rate}},
        )
    run(store, "wide", **{"model.filters": 32}, best_epoch=7)
    first, second = rows(
        store, columns=["model.filters", "optimizer.learning_rate", "seed", "best_epoch", "seconds.scoring"]
    )
    assert (first["model.filters"], first["optimizer.learning_rate"]) == ("16", "0.001")
    assert (second["model.filters"], second["optimizer.learning_rate"]) == ("32", "")
    assert (first["seed"], first["best_epoch"], second["best_epoch"]) == ("1, 2", "2", "7")
    assert (float(first["seconds.scoring"]), float(first["seconds.scoring_sd"])) == (1.0, statistics.stdev([0.5, 1.5]))


def test_keys_in_which_rows_differ_are_columns_and_those_that_are_the_same_are_none(store):
    steps = {"augmentation.flips": {}, "augmentation.warps": {"rotation": 20.0}}
    run(store, "reference", depth=3, **{"model.filters": 16, "optimizer.name": "adam", "optimizer.beta": 0.9}, **steps)
    run(store, "wide", depth=3, **{"model.filters": 32, "optimizer.name": "sgd", "optimizer.momentum": 0.9}, **steps)
    run(store, "plain", depth=2, **{"model.filters": 32, "optimizer.name": "adam", "optimizer.beta": 0.9})
    headings = rendered(store, "markdown", columns=None).splitlines()[0].strip("| ").split(" | ")
    assert headings[:6] == [
        "benchmark",
        "depth",
        "augmentation.flips",
        "augmentation.warps",
        "model.filters",
        "optimizer",
    ]
    assert not {"framework", "optimizer.beta", "optimizer.momentum", "augmentation.warps.rotation"} & set(headings)
    cells = [line.strip("| ").split(" | ")[1:6] for line in rendered(store, "markdown", columns=None).splitlines()[2:5]]
    assert cells == [
        ["3", "true", "true", "16", "adam"],
        ["3", "true", "true", "32", "sgd"],
        ["2", "–", "–", "32", "adam"],
    ]


def test_rows_are_filtered_by_any_key_and_still_compared_with_the_reference(store):
    for seed in (1, 2):
        run(store, "reference", seed, **{"model.filters": 16})
        run(store, "dice", seed, loss="dice", skill=0.9, **{"model.filters": 16})
        run(store, "wide", seed, skill=0.85, **{"model.filters": 32})
    whole = {row["benchmark"]: row for row in rows(store)}

    def shown(*where):
        return [row["benchmark"] for row in rows(store, where=where)]

    assert shown("loss.name=dice") == shown("loss=dice") == shown("benchmark=dice") == ["dice"]
    assert shown("model.filters=16") == ["reference", "dice"]
    assert shown("model.filters=16", "loss.name=bce") == ["reference"]
    (dice,) = rows(store, where=["loss.name=dice"])
    assert float(dice["validation_difference"]) == float(whole["dice"]["validation_difference"]) > 0
    assert [row["runs"] for row in rows(store, where=["seed=2"])] == ["1 done"] * 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"columns": ["model.filter"]}, "there is no column 'model.filter'; did you mean 'model.filters'"),
        ({"sort": "-model.filter"}, "there is no column 'model.filter'; did you mean 'model.filters'"),
        ({"where": ["model.filter=16"]}, "there is no column 'model.filter'; did you mean 'model.filters'"),
        ({"where": ["loss.name=dices"]}, "--where loss.name=dices: no run has that value; did you mean 'dice'"),
        ({"where": ["loss.name"]}, "--where loss.name: write it as --where KEY=VALUE"),
    ],
)
def test_a_key_or_a_value_that_no_run_has_is_an_error_that_names_the_nearest(store, asked, said):
    run(store, "reference", **{"model.filters": 16})
    run(store, "dice", loss="dice", **{"model.filters": 16})
    with pytest.raises(UserError, match=said):
        rows(store, **asked)


def test_rows_are_sorted_by_a_key_of_the_config_and_numbers_come_before_words(store):
    for name, filters in (("middle", 16), ("none", None), ("last", "auto"), ("first", 8)):
        run(store, name, **({} if filters is None else {"model.filters": filters}))
    assert [row["benchmark"] for row in rows(store, sort="model.filters")] == ["first", "middle", "last", "none"]


def test_rows_of_one_name_are_told_apart_by_the_keys_that_differ(store):
    run(store, "mine", definition="0123456789", **{"training.epochs": 5, "dataset.path": "a.npz"})
    run(store, "mine", definition="abcdefghij", **{"training.epochs": 9, "dataset.path": "b.npz"})
    assert "\nmine (2 rows): training.epochs 5 and 9\n" in notes(store) + "\n"


def test_rows_are_chosen_by_their_benchmark_whatever_the_command_line_changed(store):
    run(store, "reference", definition="a", overrides=["training.epochs=2"])
    run(store, "reference", definition="b", overrides=["training.epochs=4"])
    run(store, "dice")
    chosen = {row["benchmark"] for row in rows(store, where=["benchmark=reference"])}
    assert chosen == {"reference training.epochs=2", "reference training.epochs=4"}
    assert [row["benchmark"] for row in rows(store, where=["benchmark=reference training.epochs=4"])] == [
        "reference training.epochs=4"
    ]
