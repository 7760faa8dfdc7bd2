from __future__ import annotations

import json

import plugin_page


def test_the_loss_of_the_page_trains_a_keras_network(tmp_path):
    environment = plugin_page.install(tmp_path)
    *_, running = plugin_page.commands()
    small = ["--dataset", "synthetic", "--set", "dataset.images=20", "--set", "model.filters=2", "--epochs", "2"]
    (record,) = json.loads(plugin_page.bench(environment, tmp_path, *running[1:], *small, "--json"))
    config = record["config"]
    assert (config["loss"]["name"], config["training"]["monitor"], record["status"]) == (
        "sensitivity",
        "balanced_accuracy",
        "done",
    )
    table = plugin_page.bench(environment, tmp_path, "table", "--format", "csv")
    assert "sensitivity" in table.splitlines()[1]
