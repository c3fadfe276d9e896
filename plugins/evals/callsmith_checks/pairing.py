"""Which call of an episode stands for which gold call.

A pairing is {gold index: call index}; no gold call and no call is in two pairs.
"""

from __future__ import annotations

from collections.abc import Sequence


def pair_in_any_order(fits: Sequence[Sequence[bool]], required: Sequence[bool]) -> dict[int, int]:
    """A largest matching of gold to calls (augmenting paths): {gold index: call index}.

    The required ones take their calls first; an augmenting path never takes one away again.
    """
    holder: dict[int, int] = {}

    def place(gold: int, tried: set[int]) -> bool:
        for call, fit in enumerate(fits[gold]):
            if fit and call not in tried:
                tried.add(call)
                if call not in holder or place(holder[call], tried):
                    holder[call] = gold
                    return True
        return False

    for gold in sorted(range(len(fits)), key=lambda index: not required[index]):
        place(gold, set())
    return {gold: call for call, gold in holder.items()}


def pair_in_order(fits: Sequence[Sequence[bool]], required: Sequence[bool]) -> dict[int, int]:
    """The heaviest common subsequence of gold and calls.

    A required call outweighs all optional ones together.
    """
    weight = [len(fits) + 1 if needed else 1 for needed in required]
    return heaviest_in_order(
        [[gain if fit else 0 for fit in row] for gain, row in zip(weight, fits, strict=True)]
    )


def heaviest_in_order(weights: Sequence[Sequence[int]]) -> dict[int, int]:
    """The pairs that weigh most together, both sides in their order.

    `weights[gold][call]` is what a pair weighs, 0 or more; pairs of weight 0 are not made.
    """
    rows, columns = len(weights), len(weights[0]) if weights else 0
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            both = best[i + 1][j + 1] + weights[i][j] if weights[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], both)
    found: dict[int, int] = {}
    i = j = 0
    while i < rows and j < columns:
        if weights[i][j] and best[i][j] == best[i + 1][j + 1] + weights[i][j]:
            found[i] = j
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def heaviest_in_any_order(weights: Sequence[Sequence[int]]) -> dict[int, int]:
    """The pairs that weigh most together; `weights` as in `heaviest_in_order`.

    The Hungarian method with potentials (Kuhn 1955), row by row. Every gold call gets a column of
    weight 0 beside the calls, which stands for "left out".
    """
    rows = len(weights)
    columns = (len(weights[0]) if weights else 0) + rows
    cost = [[-weight for weight in row] + [0] * rows for row in weights]
    row_potential, potential = [0] * rows, [0] * (columns + 1)
    # Column `columns` is where a row starts from; it belongs to the row that is being placed.
    holder: list[int | None] = [None] * (columns + 1)
    for row in range(rows):
        holder[columns] = row
        slack: list[int | None] = [None] * columns
        before = [columns] * columns
        visited: list[int] = []
        free = set(range(columns))
        here = columns
        while (at := holder[here]) is not None:
            visited.append(here)
            for column in free:
                reduced = cost[at][column] - row_potential[at] - potential[column]
                known = slack[column]
                if known is None or reduced < known:
                    slack[column], before[column] = reduced, here
            step, here = min((slack[column] or 0, column) for column in free)
            free.remove(here)
            for column in visited:
                owner = holder[column]
                assert owner is not None
                row_potential[owner] += step
                potential[column] -= step
            for column in free:
                slack[column] = (slack[column] or 0) - step
        while here != columns:
            holder[here], here = holder[before[here]], before[here]
    return {
        row: column
        for column, row in enumerate(holder[: columns - rows])
        if row is not None and weights[row][column] > 0
    }
