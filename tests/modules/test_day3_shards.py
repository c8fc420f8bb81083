"""``day3_shards`` with the real batch on both workers: planned, packed, sent, brought home, merged."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_setting import ROOT, TEMPLATE, arguments, data_root
from jsonschema import Draft202012Validator
from simple_api import SimpleApi
from solidgreen import cycle, ledger
from solidgreen.jsonio import read_jsonl
from solidgreen.paths import DataRoot

RunModule = Callable[..., dict[str, Any]]
PAIR = [{"name": "worker-a"}, {"name": "worker-b"}]


@pytest.fixture(name="api")
def api_fixture() -> Iterator[SimpleApi]:
    api = SimpleApi()
    yield api
    api.close()


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path, run_module: RunModule, api: SimpleApi) -> DataRoot:
    """Return the data root of a cycle that has both of its smokes behind it."""
    root = data_root(tmp_path)
    for ordinal in (1, 2):
        assert run_module("day3_batch", arguments(root, api.url, ordinal=ordinal))["state"] == "finished"
    api.received.clear()
    return root


def options(root: DataRoot, state: str, **changes: Any) -> dict[str, Any]:
    verdict_map = str(ROOT / "policy" / "verdict_map.yml")
    given = {"archives": str(root.root.parent / "packs"), "request_template": str(TEMPLATE), "verdict_map": verdict_map}
    return {"state": state, "data_root": str(root.root), "workers": PAIR, **given, **changes}


def work(run_module: RunModule, api: SimpleApi, sender: dict[str, Any], run_id: str, folder: Path) -> dict[str, Any]:
    """Do what the play does on a worker: unpack, send, bring the record home."""
    # By the program that Ansible unpacks with; Python's own way differs between the versions supported.
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-xf", sender["archive"], "-C", str(folder)], check=True)
    params = arguments(DataRoot(folder), api.url, kind="full", run_id=run_id, shard=sender["shard"])
    params |= {name: str(folder / f"{name}.yml") for name in ("request_template", "verdict_map")}
    result = run_module("day3_batch", params)
    Path(sender["home"]).write_bytes((DataRoot(folder).run(run_id) / "observations.jsonl").read_bytes())
    return result


def test_check_do_merge_merge(tmp_path: Path, run_module: RunModule, api: SimpleApi, root: DataRoot) -> None:
    foreseen = run_module("day3_shards", options(root, "planned"), check=True)
    assert (foreseen["changed"], foreseen["run_id"], foreseen["senders"]) == (True, "", [])
    assert len(cycle.require(root)["runs"]) == 2

    plan = run_module("day3_shards", options(root, "planned"))
    assert [(s["worker"], s["shard"]) for s in plan["senders"]] == [("worker-a", "1/2"), ("worker-b", "2/2")]
    for sender in plan["senders"]:
        done = work(run_module, api, sender, plan["run_id"], tmp_path / sender["worker"])
        assert (done["state"], done["requests"]) == ("finished", 5)

    assert run_module("day3_shards", options(root, "merged"), check=True)["changed"] is False
    params = options(root, "merged", journal=str(root.journal(4)))
    merged = run_module("day3_shards", params)
    assert (merged["changed"], merged["state"], merged["run_id"]) == (True, "finished", plan["run_id"])
    assert [(check["id"], check["status"]) for check in merged["checks"]] == [("full1:shards", "pass")]
    assert len(list(read_jsonl(root.journal(4)))) == 1
    assert cycle.require(root)["runs"][2]["state"] == "finished"
    assert run_module("day3_shards", params)["changed"] is False
    assert sorted(ledger.closed(Path(merged["observations"]), "finished").selection) == sorted(
        record["case_id"] for record in read_jsonl(Path(merged["observations"])) if record["type"] == "observation"
    )

    # To the batch the merged run is the one it would have begun itself: it ended, and nothing is sent again.
    whole = run_module("day3_batch", arguments(root, api.url, kind="full", min_interval=0.01))
    assert (whole["state"], whole["requests"], whole["changed"]) == ("finished", 0, False)
    assert (whole["run_id"], len(api.received)) == (plan["run_id"], 10)
    assert run_module("day3_shards", options(root, "planned"))["senders"] == []


def test_merged_records_keep_to_the_schema(
    tmp_path: Path, run_module: RunModule, api: SimpleApi, root: DataRoot
) -> None:
    plan = run_module("day3_shards", options(root, "planned"))
    for sender in plan["senders"]:
        work(run_module, api, sender, plan["run_id"], tmp_path / sender["worker"])
    merged = run_module("day3_shards", options(root, "merged"))
    validator = Draft202012Validator(json.loads((ROOT / "schemas" / "observation.schema.json").read_text()))
    for record in read_jsonl(Path(merged["observations"])):
        validator.validate(record)


def test_a_worker_that_failed_is_named_and_only_it_has_something_to_send_again(
    tmp_path: Path, run_module: RunModule, api: SimpleApi, root: DataRoot
) -> None:
    plan = run_module("day3_shards", options(root, "planned"))
    work(run_module, api, plan["senders"][0], plan["run_id"], tmp_path / "worker-a")
    workers = [PAIR[0], {**PAIR[1], "said": "no route to host"}]
    failed = run_module("day3_shards", options(root, "merged", workers=workers))
    assert (failed["failed"], failed["exit_code"]) == (True, 11)
    assert f"shard 2 of 2 of run {plan['run_id']}: found no record (worker worker-b: no route to host)" in failed["msg"]
    assert cycle.require(root)["runs"][2]["state"] == "open"

    again = run_module("day3_shards", options(root, "planned"))
    assert again["run_id"] == plan["run_id"]
    assert [sender["worker"] for sender in again["senders"]] == ["worker-b"]
    work(run_module, api, again["senders"][0], plan["run_id"], tmp_path / "another machine")
    assert run_module("day3_shards", options(root, "merged"))["state"] == "finished"
    assert len(api.received) == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": [{"name": "a", "shard": "3/2"}, {"name": "b"}]}, "shard: found 3/2"),
        ({"workers": [{"name": "a", "shard": "2/2"}, {"name": "b"}]}, "need each of 1/2 to 2/2 once"),
        ({"targets": 2}, "found 2 workers and 2 targets in one play"),
        ({"request_template": "none.yml"}, "request template none.yml"),
        ({"verdict_map": "none.yml"}, "none.yml: found no readable file"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(
    run_module: RunModule, root: DataRoot, changes: dict[str, Any], words: str
) -> None:
    result = run_module("day3_shards", options(root, "planned", **changes))
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert words in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert len(cycle.require(root)["runs"]) == 2


def test_without_workers_nothing_is_opened(run_module: RunModule, root: DataRoot) -> None:
    result = run_module("day3_shards", options(root, "planned", workers=[]))
    assert (result["changed"], result["run_id"], result["senders"]) == (False, "", [])
    assert len(cycle.require(root)["runs"]) == 2


def test_no_pack_holds_a_label(run_module: RunModule, root: DataRoot) -> None:
    plan = run_module("day3_shards", options(root, "planned"))
    for sender in plan["senders"]:
        with tarfile.open(sender["archive"]) as tar:
            names = tar.getnames()
            text = b"".join(tar.extractfile(name).read() for name in names if not name.endswith(".pdf"))
        assert not [name for name in names if "label" in name or "manifest" in name]
        assert not [word for word in (b"ocr_noise", b"sanctions_tbml_shell", b"expected", b"scenario") if word in text]
