"""How far two labellings of the same rows agree: by label, as a share and as Cohen's kappa.

Cohen, "A Coefficient of Agreement for Nominal Scales", 1960. The second one was made blind (README.md).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from training.rows import HERE, Row, ours


def agreement(rows: Mapping[str, Row], second: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, int, float, float]]:
    """Yield, for each label, of how many rows it is known, the share on which both agree, and kappa."""
    pairs: dict[str, Counter[tuple[bool, bool]]] = {}
    for ident, labels in second.items():
        for name, value in rows[ident].labels.items():
            if name != "family":
                pairs.setdefault(name, Counter())[bool(value), name in labels] += 1
    for name, found in sorted(pairs.items()):
        count = found.total()
        share = (found[True, True] + found[False, False]) / count
        first = (found[True, True] + found[True, False]) / count
        other = (found[True, True] + found[False, True]) / count
        by_chance = first * other + (1 - first) * (1 - other)
        yield name, count, share, (share - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0


def main() -> None:
    """Print the agreement of the committed rows with the second labelling."""
    rows = {row.id: row for row in ours()}
    lines = (HERE / "second.jsonl").read_text(encoding="utf-8").splitlines()
    second = {line["id"]: frozenset(line["labels"]) for line in map(json.loads, lines)}
    for name, count, share, kappa in agreement(rows, second):
        print(f"{name:<18} {count:>6,}  {share:6.1%}  kappa {kappa:.2f}")


if __name__ == "__main__":
    main()
