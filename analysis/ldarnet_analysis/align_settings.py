"""How an analysis is made, checked before any work is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ldarnet_analysis.comparisons import CUT_REACH_BP
from ldarnet_analysis.control_rules import RULES
from ldarnet_analysis.designs import DESIGNED_RUNGS
from ldarnet_analysis.panel import PanelEntry

POSITION_RUNGS = tuple(RULES)
ALL_RUNGS = (*POSITION_RUNGS, *DESIGNED_RUNGS)


@dataclass(frozen=True)
class Settings:
    """How an analysis is made. Offsets reach `flank_bp` to each side of a site's cut; so do windows of controls."""

    rungs: tuple[str, ...] = ALL_RUNGS
    flank_bp: int = 200
    design_window_bp: int = 512
    seed: int = 1
    pool: Literal["uniform", "bedtools"] = "uniform"
    """Where controls that need not share letters come from; decoys are always found by their letters."""
    force: bool = False
    """Test rungs whose controls are out of balance too."""
    max_designed_sites: int = 500
    """Designed rungs run the model on each site several times: of more sites than this, so many are drawn."""

    def __post_init__(self) -> None:
        if unknown := [rung for rung in self.rungs if rung not in ALL_RUNGS]:
            raise ValueError(f"controls: expected some of {', '.join(ALL_RUNGS)}, got {', '.join(unknown)}")
        if repeated := sorted({rung for rung in self.rungs if self.rungs.count(rung) > 1}):
            raise ValueError(f"controls: expected every rung once, got {', '.join(repeated)} again")
        if self.flank_bp < 10:
            raise ValueError(f"flank: expected at least 10 bases, got {self.flank_bp}")

    def check_panel(self, panel: Sequence[PanelEntry]) -> None:
        """Raise ValueError for an entry whose offsets are not all within the flank."""
        for entry in panel:
            first, last = entry.test_window
            if min(first, entry.cut_at - CUT_REACH_BP) < -self.flank_bp or (
                max(last, entry.cut_at + CUT_REACH_BP) > self.flank_bp
            ):
                raise ValueError(
                    f"{entry.name}: expected a test window, and cut_at with {CUT_REACH_BP} bp about it, within the "
                    f"flank of {self.flank_bp} bp, got {first}..{last} and {entry.cut_at}: give a larger --flank"
                )
