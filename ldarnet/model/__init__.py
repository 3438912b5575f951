"""The network. `ldarnet.py` is the way in; `ssd/` holds the scan's backends."""

from ldarnet.model.ldarnet import Boundaries, LDARNet, Output
from ldarnet.model.router import Routing

__all__ = ["Boundaries", "LDARNet", "Output", "Routing"]
