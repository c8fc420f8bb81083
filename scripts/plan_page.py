"""Writes docs/plan.md: the qualification plan in words, from the policy; ``--check`` only tells whether it differs."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
from solidgreen import policy

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "plan.md"

TEMPLATE = """\
# The qualification plan
Written by `scripts/plan_page.py` from `policy/day3.yml`; change the policy, not this page.

## 1 Purpose
Decide GO or NO-GO for a release of the document-validation API, by evidence that someone else can check. A gate with
nothing to measure is inconclusive, never passed; a phase that left no verdict has not passed.

## 2 Data set
{{ data.dataset.cases }} bundles, each with the verdict it must earn. The smoke draws {{ data.smoke.size }} of them over
every class, always the same ones for the same seed.

| scenario | cases | must be | in the smoke |
|---|---:|---|---:|
{% for name, entry in data.dataset.scenarios.items() -%}
| {{ name }} | {{ entry.count }} | {{ entry.expected }} | {{ data.smoke.strata[name] }} |
{% endfor %}
## 3 Criteria
### 3A Infrastructure
{% for box in policy.phases[1].checklist -%}
- {{ box.text }}
{% endfor %}
### 3B Quality gates
| gate | judged in | needs | fewest cases | severity | from |
|---|---|---|---:|---|---|
{% for gate in policy.gates -%}
| {{ gate.title }} (`{{ gate.id }}`) | {{ gate.scope }} | {{ gate.operator }} {{ gate.threshold_text }} \
| {{ gate.min_n }} | {{ gate.severity }} | {{ gate.source }} |
{% endfor %}
A failed hard gate is a NO-GO. A review gate that fires holds the decision INCONCLUSIVE. An advisory one is only said.

### 3C Safety
- Verdicts are read without knowing the labels; labels are joined when the observations are on disk.
- Stub mode makes no decision evidence.
- No secret in any artifact.
- Every artifact can be rebuilt from what is on disk.

## 4 Confidence
The smoke runs twice, independently; both must pass, and agree case by case. The lower end of the
{{ '%g' % (data.confidence.level * 100) }} % {{ data.confidence.method }} interval is what the gates compare, so a smoke
of 20 takes 17 right answers. The full run follows once, only after both smokes passed.

## 5 Phases
{% for phase in policy.phases -%}
### Phase {{ phase.number }}: {{ phase.title }}
Owners: {{ phase.owners | join(', ') }}. A pass holds {{ '%g' % (policy.expiry_minutes(phase.number) / 60) }} h.

{% for box in phase.checklist -%}
- [ ] {{ box.text }}
{% endfor %}
{% endfor -%}
### Ways back
- **R1**, after a failed phase 1: diagnostics and a database dump are kept, the stack goes down with its volumes, the
  environment file comes back, the plan starts at phase 0 again.
- **R2**, after a failed phase 2: canned answers for a demonstration, marked so that no decision evidence can be made;
  the changes of phase 2 are taken back. `--undo` leaves it.
- **R3**, after a failed phase 3 or 4, by itself: no further run in this cycle, the failing state is kept for triage.

## 6 Guardrails
- `day3_results.jsonl` only grows within a cycle; a new cycle starts after a verified snapshot.
- Starts of requests are at least {{ data.pacing.min_interval_floor }} s apart ({{ data.pacing.min_interval }} s is the
  plan's own), at least {{ data.pacing.retries_429_floor }} retries after HTTP 429, at most
  {{ data.pacing.budget_minutes }} minutes a run.
- The data set is checked before each run: counts, expected verdicts, digests.
- The confusion matrix is compared with the run before it; a class that falls by more than 0.30 is reviewed.
- Local checks and production checks are kept apart, with their times.

## 7 Order of work
Phases 0 and 1, then 2, then the two smokes with a pause where the rate limit showed itself, then the full run, then the
production routes and the report.

## 8 Stop and go
Stop when an infrastructure check fails twice, when answers stay uniformly blocked after phase 2, or when a hard gate
fails. Go only when every hard gate passed, both smokes and the full run passed, and the CTO approved the evidence.

## 9 Evidence
`metrics_summary.json`, `confusion_matrix.csv`, `day3_results.jsonl`, `failed_cases.csv`, `rate_limit_stats.json`,
`DAY3_SIGNOFF.md`, this plan and `EXECUTION_CHECKLIST.md`.

## 10 Commands
```sh
./run go                      # the whole plan on the rehearsal stack
invoke go --env workstation   # on the stack of a checkout
invoke phase --only 3         # one phase
invoke rollback --point R2    # back
```
"""


def page() -> str:
    """Return the text of the page."""
    plan = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")
    environment = jinja2.Environment(trim_blocks=False, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(TEMPLATE).render(policy=plan, data=plan.data)


def main() -> int:
    """Write the page, or with ``--check`` compare it."""
    text = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text("utf-8") == text
        print(f"{PAGE.relative_to(ROOT)}: {'up to date' if same else 'differs; run scripts/plan_page.py'}")
        return 0 if same else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
