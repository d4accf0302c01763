"""Evaluate scripted clients; or serve a scenario to a model, and check what it did.

python -m benchmarks.agent_eval run [--only SCENARIO]... [--client CLIENT]... [--full] [--write]
python -m benchmarks.agent_eval serve SCENARIO FOLDER
python -m benchmarks.agent_eval check SCENARIO FOLDER
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "support")]

from agent_eval.program import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
