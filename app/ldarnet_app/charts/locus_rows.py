"""Rows of a figure above one another over a shared axis, each as high as it needs."""

from dataclasses import dataclass, field

GAP_PX = 10
TOP_PX, BOTTOM_PX = 26, 52


@dataclass
class Rows:
    """Rows from the top down; each is a y axis of its own (y, y2, ...) over one x axis."""

    heights_px: list[int] = field(default_factory=list)
    gaps_px: list[int] = field(default_factory=list)

    def add(self, height_px: int, gap_px: int = GAP_PX) -> int:
        """A row below those there are; its number, from 1."""
        self.heights_px.append(height_px)
        self.gaps_px.append(gap_px if self.gaps_px else 0)
        return len(self.heights_px)

    @property
    def plot_px(self) -> int:
        """Height of all rows with the gaps between them."""
        return sum(self.heights_px) + sum(self.gaps_px)

    @property
    def figure_px(self) -> int:
        """Height of the figure."""
        return self.plot_px + TOP_PX + BOTTOM_PX

    def domain(self, row: int) -> tuple[float, float]:
        """Where a row lies, as shares of the height of all."""
        above = sum(self.heights_px[: row - 1]) + sum(self.gaps_px[:row])
        top = 1 - above / self.plot_px
        return max(top - self.heights_px[row - 1] / self.plot_px, 0.0), top


def axis_name(row: int) -> str:
    """What traces and shapes call the y axis of a row."""
    return "y" if row == 1 else f"y{row}"
