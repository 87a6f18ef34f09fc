"""Batches: jobs as lines of JSON, run wherever jobs run, each told as a line of JSON: `python -m seclude batch`.

    with open("jobs", "rb") as lines, box.pool() as pool:
        for told in seclude.batch.outcomes(lines, pool):
            print(told.to_json())

Only so many jobs are under way at one time as keep the place busy: a batch may be endless, and memory is bounded.
"""

from .flow import Place, outcomes
from .lines import Told

__all__ = ["Place", "Told", "outcomes"]
