"""The facets of telemetry, one module each: what is read of a row, how it is folded into a day's state, what the report shows of it.

A new metric is a change in the module of its facet, and an entry in each of the two catalogues (``schemas/raw_telemetry.py``, ``schemas/mart.py``); see ``docs/adding-a-metric.md``.
"""

from stream_processor.domain.facets.base import Facet
from stream_processor.domain.facets.battery import BatteryFacet
from stream_processor.domain.facets.error import ErrorFacet
from stream_processor.domain.facets.location import LocationFacet
from stream_processor.domain.facets.signal import SignalFacet

FACETS: tuple[Facet, ...] = (SignalFacet(), BatteryFacet(), ErrorFacet(), LocationFacet())

__all__ = ["FACETS", "Facet"]
