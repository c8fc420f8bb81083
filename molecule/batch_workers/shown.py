"""Prints what the records of a sharded run show, each read from the file its worker wrote."""

import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

from solidgreen import jsonio, ledger, shards
from solidgreen.clock import parse

folder = Path(sys.argv[1])
ledger.closed(folder / "observations.jsonl", "finished")
shards.require_merged(folder)
parts = {
    path.name: [record for record in jsonio.read_jsonl(path) if record["type"] == "observation"]
    for path in sorted((folder / "shards").glob("*.jsonl"))
}
answers = [record for part in parts.values() for record in part]
starts = sorted(parse(attempt["started_at"]).timestamp() for record in answers for attempt in record["attempts"])
print(
    json.dumps(
        {
            "sent": {name: len(part) for name, part in parts.items()},
            "sessions": [1 + len(ledger.verify(path).resumes) for path in sorted((folder / "shards").glob("*.jsonl"))],
            "cases": len({record["case_id"] for record in answers}),
            "twice": [case for case, count in Counter(record["case_id"] for record in answers).items() if count > 1],
            "smallest_gap_s": min(later - sooner for sooner, later in pairwise(starts)),
        }
    )
)
