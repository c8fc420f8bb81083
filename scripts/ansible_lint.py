"""ansible-lint that sees our module_utils: its rule ``args`` then runs each module's own argument spec."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible.module_utils
from ansiblelint.__main__ import main

if __name__ == "__main__":
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parent.parent / "module_utils"))
    sys.exit(main(["ansible-lint", "--offline", *sys.argv[1:]]))
