"""How many sites each filter took, so that nothing is dropped without being counted."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class Dropped:
    """The filters that a table went through, in order, and how many rows each of them took."""

    counts: list[tuple[str, int]] = field(default_factory=list)

    def add(self, reason: str, num_rows: int) -> None:
        """Note that a filter took `num_rows` rows; 0 is worth noting too."""
        self.counts.append((reason, int(num_rows)))

    def keep(self, table: pd.DataFrame, wanted: pd.Series, reason: str) -> pd.DataFrame:
        """The wanted rows, numbered anew; the others are counted under `reason`."""
        self.add(reason, len(table) - int(wanted.sum()))
        return table[wanted].reset_index(drop=True)

    def require_some(self, table: pd.DataFrame, what: str) -> pd.DataFrame:
        """The table as it is; ValueError saying which filter took how many if it has no rows."""
        if table.empty:
            raise ValueError(f"no {what} left; {self}")
        return table

    def __str__(self) -> str:
        took = [f"{count:,}: {reason}" for reason, count in self.counts if count]
        return "dropped " + "; ".join(took) if took else "nothing was dropped"
