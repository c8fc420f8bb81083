"""What people read of a decision: the last screen, the sign-off, the checklist, one HTML page, JUnit, the file list.

Everything is a function of its arguments, so the same files give the same bytes. Whatever came from outside (answers,
file names, reasons) is made visible and escaped for the format it stands in.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jinja2
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from . import gates, jsonio
from .check import Check, Status
from .clock import parse
from .judgement import COPIED, GATES, METRICS, ROWS
from .metrics import UNKNOWN, VERDICTS
from .paths import OBSERVATIONS, DataRoot
from .policy import Box, PhaseSpec, Policy
from .shards import FOLDER as SHARDS
from .text import markdown, plural, visible
from .waivers import Waiver

MANIFEST_SCHEMA = "solidgreen/evidence/1"
WORDS = {"pass": "pass", "fail": "FAIL", "not believed": "NOT BELIEVED"}
TITLES = {"smoke1": "Smoke 1", "smoke2": "Smoke 2", "full1": "Full run"}


@dataclass(frozen=True)
class Picture:
    """Everything the reports show; documents as they lie on disk.

    :param gate_files: run label (``smoke1``) to its ``gates.json``
    :param summaries: run label to its ``metrics_summary.json``
    """

    decision: Mapping[str, Any]
    policy: Policy
    cycle: Mapping[str, Any] | None
    phases: Mapping[int, Mapping[str, Any] | None]
    gate_files: Mapping[str, Mapping[str, Any]]
    summaries: Mapping[str, Mapping[str, Any]]

    def state(self, number: int) -> str:
        """Return what the decision found of a phase."""
        return str(self.decision["phases"].get(str(number), "not run"))

    def checks(self, number: int) -> list[Check]:
        """Return the checks of a phase; none where it left no verdict of this cycle."""
        doc = self.phases.get(number)
        if not doc or self.state(number) in ("not run", "not believed"):
            return []
        return [Check.from_dict(entry) for entry in doc["checks"]]

    def results(self, label: str) -> list[gates.GateResult]:
        """Return the gates of a run, in the order of the policy."""
        return [gates.from_dict(entry) for entry in self.gate_files[label]["gates"]]


# --- the last screen -----------------------------------------------------------------------------------------------


def screen(picture: Picture, evidence: str) -> list[str]:
    """Return the last ten lines of a run: a line a phase, the decision, the number, the evidence, the next command.

    :param evidence: path of the sign-off as the reader would type it
    """
    decision = picture.decision
    lines = [_phase_line(picture, phase) for phase in picture.policy.phases]
    reached = "reached" if decision["exit_code"] == 0 else f"not reached, exit {decision['exit_code']}"
    said = f"; {plural(len(decision['deviations']), 'deviation')} from the plan" if decision["deviations"] else ""
    return [
        *lines,
        f"=> {visible(decision['decision'])}   (asked for: {decision['level_asked']}, {reached}{said})",
        f"   decided by  {visible(decision['deciding'], 240)}",
        f"   evidence    {visible(evidence)}",
        f"   next        {visible(decision['next'], 240)}",
    ]


def _phase_line(picture: Picture, phase: PhaseSpec) -> str:
    state, checks = picture.state(phase.number), picture.checks(phase.number)
    start = f"{phase.number}  {phase.name:<15} {WORDS.get(state, state):<13}"
    doc = picture.phases.get(phase.number)
    if not checks or doc is None:
        return start.rstrip()
    open_checks = [check.id for check in checks if check.status is not Status.PASS]
    if not open_checks:
        return f"{start} {plural(len(checks), 'check'):<10} {_took(doc)}".rstrip()
    names = ", ".join(visible(name, 40) for name in open_checks[:3]) + (", ..." if len(open_checks) > 3 else "")
    return f"{start} {len(open_checks)} of {plural(len(checks), 'check')}: {names}"


def _took(doc: Mapping[str, Any]) -> str:
    try:
        seconds = (parse(str(doc["finished_at"])) - parse(str(doc["started_at"]))).total_seconds()
    except (KeyError, ValueError):
        return ""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes} m {rest:02d} s" if minutes else f"{rest} s"


# --- the checklist -------------------------------------------------------------------------------------------------


def open_reason(box: Box, checks: Sequence[Check], state: str) -> str | None:
    """Return why a box is open, None when evidence ticks it: every pattern matches a check and all matches passed."""
    if state in ("not run", "not believed", "expired"):
        return f"the phase is {state}" if state != "expired" else "the phase's pass has expired"
    for pattern in box.evidence:
        found = [check for check in checks if fnmatchcase(check.id, pattern)]
        if not found:
            return f"nothing was looked at under {pattern}"
        for check in found:
            if check.status is not Status.PASS:
                return check.sentence()
    return None


def checklist(picture: Picture) -> str:
    """Return the plan's checklist in Markdown, each box ticked by evidence or open with the reason."""
    lines = ["# Execution checklist", "", _heading(picture), ""]
    for phase in picture.policy.phases:
        lines += [f"## Phase {phase.number}: {markdown(phase.title)}", "", f"Owners: {', '.join(phase.owners)}", ""]
        for box in phase.checklist:
            reason = open_reason(box, picture.checks(phase.number), picture.state(phase.number))
            lines.append(f"- [{' ' if reason else 'x'}] {markdown(box.text)}")
            if reason:
                lines.append(f"  - open: {markdown(reason)}")
        lines.append("")
    return "\n".join(lines)


def _heading(picture: Picture) -> str:
    decision = picture.decision
    return f"**{markdown(decision['decision'])}** · cycle {markdown(decision['cycle_id'])} · {decision['at']}"


# --- the sign-off --------------------------------------------------------------------------------------------------


def signoff(picture: Picture) -> str:
    """Return the page the CTO reads, in Markdown: the decision, why, and where each number comes from."""
    decision = picture.decision
    lines = [
        "# Day 3 sign-off",
        "",
        _heading(picture),
        "",
        f"- Level asked for: {decision['level_asked']}; reached: {decision['level'] or 'none'}",
        f"- Decided by: {markdown(decision['deciding'])}",
        f"- Next: {markdown(decision['next'])}",
        f"- Target: {markdown(_target(picture))}",
        "- Signature: none. This page asks for one; it does not carry it.",
        "",
    ]
    lines += _listed("Why", decision["reasons"], "")
    lines += _listed("Deviations from the plan", decision["deviations"], "None.")
    lines += _listed("Waivers", _waivers(picture), "")
    lines += _listed("Remarks beyond the plan", _remarks(picture), "")
    lines += ["## Phases", "", "| phase | state | checks | owners |", "|---|---|---|---|"]
    for phase in picture.policy.phases:
        state, checks = picture.state(phase.number), picture.checks(phase.number)
        passed = sum(check.status is Status.PASS for check in checks)
        cells = [f"{phase.number} {phase.name}", state, f"{passed} of {len(checks)} passed", ", ".join(phase.owners)]
        lines.append(_row(cells))
    lines.append("")
    for label in sorted(picture.gate_files, key=list(TITLES).index):
        lines += _run_section(picture, label)
    lines += _history(picture.cycle)
    lines += ["## Evidence", ""]
    lines += [f"- [{name}]({name})" for name in _linked(picture)]
    return "\n".join([*lines, ""])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"


def _listed(title: str, items: Sequence[object], empty: str) -> list[str]:
    if not items and not empty:
        return []
    return [f"## {title}", "", *([f"- {markdown(item)}" for item in items] or [empty]), ""]


def _target(picture: Picture) -> str:
    registration = (picture.cycle or {}).get("registration") or {}
    target = registration.get("target") or {}
    where = ", ".join(f"{key} {value}" for key, value in sorted(target.items()) if not isinstance(value, (dict, list)))
    kind = {True: "a rehearsal stack", False: "no rehearsal", None: "unknown"}[picture.decision["rehearsal"]]
    return f"{kind}; {where}" if where else kind


def _run_section(picture: Picture, label: str) -> list[str]:
    file = picture.gate_files[label]
    lines = [f"## {TITLES[label]}: gates", "", f"Run {markdown(file['run_id'])}", ""]
    lines += ["| gate | outcome | seen | needed | n | interval | what would change it | plan |", "|" + "---|" * 8]
    lines += [
        _row([g.name, _outcome(g), g.seen, g.needed, g.n, interval_text(g), _turns(g), g.source])
        for g in picture.results(label)
    ]
    lines += ["", _power(file)]
    summary = picture.summaries.get(label)
    if summary:
        columns = (*VERDICTS, UNKNOWN)
        lines += ["", "| expected \\\\ actual | " + " | ".join(columns) + " |", "|" + "---|" * 6]
        lines += [_row([name, *(summary["confusion"][name][column] for column in columns)]) for name in VERDICTS]
    return [*lines, ""]


def _outcome(result: gates.GateResult) -> str:
    if result.severity == "hard":
        return result.status.value
    return f"{result.status.value} ({result.severity})"


def interval_text(result: gates.GateResult) -> str:
    """Return the interval of a gate, empty where it has none."""
    if result.interval is None:
        return ""
    span = f"{result.interval.lower:.3f} to {result.interval.upper:.3f}"
    return span if result.interval.sides == 2 else f"up to {result.interval.upper:.3f}"


def _turns(result: gates.GateResult) -> str:
    """Return what would change the gate's outcome, what a zero leaves possible, and by whom it is carried."""
    return "; ".join(text for text in (result.counterfactual, result.exposure, result.waiver) if text)


def _power(file: Mapping[str, Any]) -> str:
    """Return how likely a system of each true accuracy meets the gates over the agreement of that run."""
    chances = ", ".join(f"{accuracy}: {chance:.1%}" for accuracy, chance in sorted(file["power"].items()))
    return f"Chance to meet the gates over the agreement, by true accuracy: {chances}."


def _remarks(picture: Picture) -> list[str]:
    """Return what gates beyond the plan have to say; nothing depends on it."""
    return [
        f"{result.title}: {result.name} is {result.seen}, good is {result.needed}. Next: {result.next_step}"
        for label in sorted(picture.gate_files, key=list(TITLES).index)
        for result in picture.results(label)
        if result.fired and result.beyond_plan
    ]


def _waivers(picture: Picture) -> list[str]:
    """Return every waiver that carries a gate of the runs, each once."""
    found = [Waiver(**entry).said() for label in picture.gate_files for entry in picture.gate_files[label]["waivers"]]
    return list(dict.fromkeys(found))


def _history(cycle: Mapping[str, Any] | None) -> list[str]:
    previous = (cycle or {}).get("previous") or []
    if not previous:
        return []
    lines = ["## Earlier cycles over this data", "", "| cycle | opened | decision | failure | fix |", "|" + "---|" * 5]
    keys = ("cycle_id", "opened_at", "decision", "failure", "fix")
    return [*lines, *(_row([entry.get(key) or "none" for key in keys]) for entry in previous), ""]


def _linked(picture: Picture) -> list[str]:
    names = ["decision.json", "EXECUTION_CHECKLIST.md", "report.html", "gates.junit.xml", "evidence/manifest.json"]
    names += [f"phases/phase{number}.json" for number, doc in sorted(picture.phases.items()) if doc]
    for label in sorted(picture.gate_files, key=list(TITLES).index):
        run_id = picture.gate_files[label]["run_id"]
        names += [f"runs/{run_id}/{name}" for name in (GATES, METRICS, OBSERVATIONS)]
    return names


# --- HTML ----------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ decision.decision }}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.8rem;border-left:.6rem solid {{ colour }};padding-left:.8rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{border:1px solid #bbb;padding:.25rem .5rem;text-align:left;vertical-align:top}
thead th{background:#eee}td.n{text-align:right}
.wide{overflow-x:auto}.fail,.not{font-weight:700;color:#9b1c1c}.inconclusive,.expired{color:#7a4b00}
dt{font-weight:600}dd{margin:0 0 .4rem 1rem;overflow-wrap:anywhere}
@media print{a{color:inherit;text-decoration:none}}
</style>
</head>
<body>
<h1>{{ decision.decision }}</h1>
<dl>
<dt>Decided by</dt><dd>{{ decision.deciding }}</dd>
<dt>Next</dt><dd>{{ decision.next }}</dd>
<dt>Level</dt><dd>asked for {{ decision.level_asked }}, reached {{ decision.level or "none" }} (exit code \
{{ decision.exit_code }})</dd>
<dt>Target</dt><dd>{{ target }}</dd>
<dt>Cycle</dt><dd>{{ decision.cycle_id }}, {{ decision.at }}</dd>
</dl>
{% for title, items in (("Why", decision.reasons), ("Deviations from the plan", decision.deviations),
                        ("Waivers", waivers), ("Remarks beyond the plan", remarks)) if items %}
<h2>{{ title }}</h2>
<ul>{% for item in items %}<li>{{ item }}</li>{% endfor %}</ul>
{% endfor %}
{% for run in runs %}
<h2>{{ run.title }}: gates</h2>
<div class="wide"><table>
<thead><tr><th scope="col">Gate</th><th scope="col">Outcome</th><th scope="col">Seen</th><th scope="col">Needed</th>
<th scope="col">n</th><th scope="col">95 % interval</th><th scope="col">What would change it</th>
<th scope="col">Plan</th></tr></thead>
<tbody>
{% for gate in run.gates %}
<tr><th scope="row" title="{{ gate.name }}">{{ gate.title }}</th>
<td class="{{ gate.status.value }}">{{ gate.outcome }}</td>
<td>{{ gate.seen }}</td><td>{{ gate.needed }}</td><td class="n">{{ gate.n }}</td><td>{{ gate.interval }}</td>
<td>{{ gate.turns }}</td><td>{{ gate.source }}</td></tr>
{% endfor %}
</tbody></table></div>
<p>{{ run.power }}</p>
{% if run.confusion %}
<table><caption>{{ run.title }}: expected (rows) against actual verdicts</caption>
<thead><tr><td></td>{% for name in columns %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for name, row in run.confusion %}<tr><th scope="row">{{ name }}</th>{% for column in columns %}\
<td class="n">{{ row[column] }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>
{% endif %}
{% endfor %}
<h2>Phases</h2>
{% for phase in phases %}
<h3>{{ phase.number }} {{ phase.title }}: <span class="{{ phase.state.split()[0] }}">{{ phase.state }}</span></h3>
{% if phase.checks %}
<div class="wide"><table>
<thead><tr><th scope="col">Check</th><th scope="col">Outcome</th><th scope="col">Seen</th><th scope="col">Needed</th>
<th scope="col">Next</th></tr></thead>
<tbody>{% for check in phase.checks %}<tr><th scope="row">{{ check.title }}</th>\
<td class="{{ check.status.value }}">{{ check.status.value }}</td><td>{{ check.seen }}</td><td>{{ check.needed }}</td>\
<td>{{ check.next_step }}</td></tr>
{% endfor %}</tbody></table></div>
{% endif %}
{% endfor %}
<h2>Evidence</h2>
<ul>{% for name in linked %}<li><a href="{{ name | urlencode }}">{{ name }}</a></li>{% endfor %}</ul>
</body>
</html>
"""


def html(picture: Picture) -> str:
    """Return the same as one self-contained page: no script, no network, every text escaped."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_shown
    )
    runs = []
    for label in sorted(picture.gate_files, key=list(TITLES).index):
        confusion = (picture.summaries.get(label) or {}).get("confusion")
        rows = [
            {
                "name": result.name,
                "title": result.title,
                "status": result.status,
                "outcome": _outcome(result),
                "seen": result.seen,
                "needed": result.needed,
                "n": result.n,
                "interval": interval_text(result),
                "turns": _turns(result),
                "source": result.source,
            }
            for result in picture.results(label)
        ]
        pairs = [(name, confusion[name]) for name in VERDICTS] if confusion else []
        power = _power(picture.gate_files[label])
        runs.append({"title": TITLES[label], "gates": rows, "confusion": pairs, "power": power})
    phases = [
        {
            "number": phase.number,
            "title": phase.title,
            "state": picture.state(phase.number),
            "checks": picture.checks(phase.number),
        }
        for phase in picture.policy.phases
    ]
    colour = {0: "#1b6e3c", 11: "#b26b00"}.get(picture.decision["exit_code"], "#9b1c1c")
    return environment.from_string(_PAGE).render(
        decision=picture.decision,
        colour=colour,
        target=_target(picture),
        runs=runs,
        phases=phases,
        columns=(*VERDICTS, UNKNOWN),
        linked=_linked(picture),
        waivers=_waivers(picture),
        remarks=_remarks(picture),
    )


def _shown(value: Any) -> Any:
    return visible(value, 2000) if type(value) is str else value


# --- JUnit ---------------------------------------------------------------------------------------------------------


def junit(picture: Picture) -> bytes:
    """Return gates and checks as JUnit: fail is a failure, no evidence an error, what bears on nothing is skipped."""
    document = JUnitXml("day3")
    for phase in picture.policy.phases:
        suite = TestSuite(f"phase {phase.number} {phase.name}")
        state, checks = picture.state(phase.number), picture.checks(phase.number)
        judged = {result.name: result for label in picture.gate_files for result in picture.results(label)}
        named = {name: result for name, result in judged.items() if result.phase == phase.number}
        for check in checks:
            if check.id not in named:
                _case(suite, check.id, check.status, check.sentence())
        for name, result in named.items():
            _case(suite, name, result.effect, result.sentence(), skipped=result.status is not result.effect)
        if state != "pass" and all(check.status is Status.PASS for check in checks):
            _case(suite, "verdict", Status.INCONCLUSIVE, f"phase {phase.number} is {state}")
        suite.update_statistics()  # type: ignore[no-untyped-call]
        document.add_testsuite(suite)
    out = io.BytesIO()
    document.write(out, pretty=True)
    return out.getvalue()


def _case(suite: TestSuite, name: str, status: Status, message: str, *, skipped: bool = False) -> None:
    case = TestCase(visible(name), classname=f"day3.{suite.name}")
    text = visible(message, 1000)
    if status is Status.FAIL:
        case.result = [Failure(text)]
    elif status is Status.INCONCLUSIVE:
        case.result = [Error(text)]
    elif skipped:
        case.result = [Skipped(text)]
    suite.add_testcase(case)


# --- the file list -------------------------------------------------------------------------------------------------


def evidence_files(root: DataRoot, picture: Picture, plan: Path | None) -> Iterator[tuple[str, Path, str]]:
    """Yield name, path and role of everything the sign-off rests on; the plan's own list first."""
    top = [*COPIED, root.day3_results.name, root.signoff.name, root.checklist.name]
    yield from ((name, root.results / name, "plan section 9") for name in top)
    if plan is not None:
        yield "plan/" + plan.name, plan, "plan section 9"
    yield "decision.json", root.decision, "decision"
    yield "report.html", root.report, "report"
    yield "gates.junit.xml", root.junit, "report"
    for number, doc in sorted(picture.phases.items()):
        if doc:
            yield f"phases/phase{number}.json", root.phase(number), "phase verdict"
        if root.triage(number).is_file():
            yield f"phases/{root.triage(number).name}", root.triage(number), "likely causes"
    for path in (root.cases, root.labels, root.smoke_selection, root.qualification):
        yield f"qualified/{path.name}", path, "data set"
    yield f"qualified/{root.verdict_map.name}", root.verdict_map, "verdict map"
    carried = {waiver["file"] for file in picture.gate_files.values() for waiver in file["waivers"]}
    for name in sorted(carried):
        yield f"{root.waivers.name}/{name}", root.waivers / name, "waiver"
    for label in sorted(picture.gate_files, key=list(TITLES).index):
        run_id = str(picture.gate_files[label]["run_id"])
        for name, role in (
            (OBSERVATIONS, "observations"),
            (ROWS, "joined rows"),
            (METRICS, "metrics"),
            (GATES, "gates"),
        ):
            yield f"runs/{run_id}/{name}", root.run(run_id) / name, role
        for path in sorted((root.run(run_id) / SHARDS).glob("*.json*")):
            yield f"runs/{run_id}/{SHARDS}/{path.name}", path, "observations of a shard"


def manifest(root: DataRoot, picture: Picture, plan: Path | None = None) -> dict[str, Any]:
    """Return digest, size and role of every evidence file; what is not there is named as missing."""
    files, missing = [], []
    for name, path, role in evidence_files(root, picture, plan):
        if path.is_file():
            entry = {"path": name, "sha256": jsonio.sha256_file(path), "bytes": path.stat().st_size, "role": role}
            files.append(entry)
        else:
            missing.append(name)
    registration = (picture.cycle or {}).get("registration")
    return {
        "schema": MANIFEST_SCHEMA,
        "cycle_id": picture.decision["cycle_id"],
        "decision": picture.decision["decision"],
        "at": picture.decision["at"],
        "registration_sha256": jsonio.digest(registration) if registration else None,
        "policy_sha256": picture.policy.sha256,
        "files": files,
        "missing": missing,
    }
