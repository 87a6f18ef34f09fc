"""Adapters that let agent frameworks run their tools in a sandbox: `docs/agents.md`.

Each module is for one framework, which it imports. Nothing else in the package imports them, and
the wheel requires none of the frameworks:

- `seclude.adapters.openai_agents`: a sandbox client for `openai-agents`.
- `seclude.adapters.deepagents`: a backend for `deepagents`.
- `seclude.adapters.smolagents`: an executor for `smolagents`.
"""

from __future__ import annotations


def missing(package: str, version: str, error: ImportError) -> ImportError:
    """Return the error of an adapter whose framework cannot be imported.

    `version` is the version of the package that the adapter was tested with.
    """
    return ImportError(
        f"import {package}: {error}; hint: pip install '{package}=={version}', "
        "the version that this adapter was tested with",
        name=error.name,
    )
