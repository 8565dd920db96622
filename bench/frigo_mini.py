"""Measure frigo-mini on its hand-written test sets.

`python -m bench.frigo_mini [--verbose] [--folder DIR] [--limit N]`.

Without `--limit` and `--folder`, writes bench/results/frigo_mini.json, from which the model card takes its figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.mini.run import evaluate

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "gpt" / "embedded" / "frigo-mini"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--verbose", action="store_true", help="show every answer")
    args = parser.parse_args()
    text = json.dumps(evaluate(args.folder, args.limit, print if args.verbose else None), indent=2, ensure_ascii=False)
    print(text)
    if args.limit is None and args.folder == FOLDER:
        (ROOT / "bench" / "results" / "frigo_mini.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
