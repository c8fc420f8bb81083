"""Filters: names mapped to pure functions of the core, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from solidgreen.paths import find_data_root


def day3_data_root(base: str) -> str:
    """Return the data root below *base*, ``Data/day3`` where only that exists."""
    return str(find_data_root(Path(base)).root)


def day3_reasons(reasons: list[dict[str, str]]) -> list[str]:
    """Return the reasons of a state module as sentences: what it is, how it is, how it should be."""
    return [f"{reason['name']} is {reason['current']}, should be {reason['desired']}" for reason in reasons]


def day3_open_checks(checks: list[dict[str, Any]]) -> list[str]:
    """Return what was seen by the checks that did not pass."""
    return [f"{check['id']}: {check['seen']}" for check in checks if check["status"] != "pass"]


def day3_port_probes(ports: list[int], host: str) -> list[dict[str, Any]]:
    """Return one short TCP probe a port of *host*."""
    return [{"id": f"port:{port}", "type": "tcp", "host": host, "port": port, "timeout": 1} for port in ports]


def day3_batch_workers(names: list[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return name, stated shard and last words of the batch workers, from what is known of each host."""
    told = {"shard": "batch_shard", "said": "__batch_said"}
    return [
        {"name": name, **{key: str(hostvars[name].get(variable, "")) for key, variable in told.items()}}
        for name in names
    ]


class FilterModule:
    """The filters of this project."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name to function."""
        return {
            "day3_batch_workers": day3_batch_workers,
            "day3_data_root": day3_data_root,
            "day3_open_checks": day3_open_checks,
            "day3_port_probes": day3_port_probes,
            "day3_reasons": day3_reasons,
        }
