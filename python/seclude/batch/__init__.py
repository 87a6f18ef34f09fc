"""Batches: a job per line of JSON in, an outcome per line of JSON out.

    with open("jobs", "rb") as lines, box.pool() as pool:
        for told in seclude.batch.outcomes(lines, pool):
            print(told.to_json())

`python -m seclude batch` does this on the command line. Only as many jobs are pending as keep the
pool busy, so that a batch may be endless while memory stays bounded.
"""

from .flow import Place, outcomes
from .lines import Told

__all__ = ["Place", "Told", "outcomes"]
