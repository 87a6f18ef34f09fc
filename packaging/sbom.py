"""Writes the bill of materials of a release: every crate that is linked into an artefact.

    sbom.py FILE [PACKAGE...]

With packages of the workspace, it is that of an artefact which consists of these.

The form is CycloneDX 1.5, as JSON. Versions and checksums are those of Cargo.lock, licenses those
of the crates' own manifests. Crates that only run while something is built, such as macros, have
the scope `excluded`; those that only tests use are left out. The same sources give the same bytes:
the time is SOURCE_DATE_EPOCH, and the serial number follows from the contents.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The packages of the workspace that end up in an artefact, and what the artefact is.
PRODUCTS = {
    "seclude": "library",
    "seclude-test": "library",
    "seclude-capi": "library",
    "seclude-cli": "application",
    "seclude-python": "library",
}
TRIPLES = (
    "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl",
)  # fmt: skip


def metadata() -> dict[str, Any]:
    """Return what cargo knows of the workspace and of its dependencies for our targets."""
    platforms = [word for triple in TRIPLES for word in ("--filter-platform", triple)]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *platforms]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def checksums() -> dict[tuple[str, str], str]:
    """Return the SHA-256 of each crate from the registry."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {
        (package["name"], package["version"]): package["checksum"]
        for package in lock["package"]
        if "checksum" in package
    }


def reached(nodes: dict[str, Any], macros: set[str], roots: list[str]) -> dict[str, bool]:
    """Return the packages that the roots need: True if one is linked into an artefact."""
    found: dict[str, bool] = {}
    waiting = [(root, root not in macros) for root in roots]
    while waiting:
        package, linked = waiting.pop()
        linked = linked and package not in macros
        if found.get(package) in (True, linked):
            continue
        found[package] = linked
        for needed in nodes[package]["deps"]:
            kinds = {kind["kind"] for kind in needed["dep_kinds"]}
            if kinds & {None, "build"}:
                waiting.append((needed["pkg"], linked and None in kinds))
    return found


def component(package: dict[str, Any], linked: bool, sums: dict[Any, str]) -> dict[str, Any]:
    """Return the entry of a package."""
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    entry = {
        "type": PRODUCTS.get(package["name"], "library"),
        "bom-ref": purl,
        "name": package["name"],
        "version": package["version"],
        "scope": "required" if linked else "excluded",
        "purl": purl,
    }
    if text := package.get("license"):
        # "MIT/Apache-2.0" is the old form of an expression.
        entry["licenses"] = [{"expression": text.replace("/", " OR ")}]
    if checksum := sums.get((package["name"], package["version"])):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def bill(products: list[str]) -> dict[str, Any]:
    """Return the bill of materials of these packages of the workspace."""
    answer = metadata()
    packages = {package["id"]: package for package in answer["packages"]}
    nodes = {node["id"]: node for node in answer["resolve"]["nodes"]}
    macros = {
        identity
        for identity, package in packages.items()
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    own = {packages[i]["name"]: i for i in answer["workspace_members"]}
    roots = [own[name] for name in products]
    found = reached(nodes, macros, roots)
    sums = checksums()
    version = packages[own["seclude"]]["version"]
    entries = sorted(
        (component(packages[i], linked, sums) for i, linked in found.items()),
        key=lambda entry: (entry["name"], entry["version"]),
    )

    def reference(identity: str) -> str:
        package = packages[identity]
        return f"pkg:cargo/{package['name']}@{package['version']}"

    dependencies = [
        {
            "ref": reference(identity),
            "dependsOn": sorted(
                {
                    reference(needed["pkg"])
                    for needed in nodes[identity]["deps"]
                    if needed["pkg"] in found
                    and {kind["kind"] for kind in needed["dep_kinds"]} & {None, "build"}
                }
            ),
        }
        for identity in found
    ]
    dependencies.sort(key=lambda entry: str(entry["ref"]))
    whole = "pkg:generic/seclude@" + version
    top = {"ref": whole, "dependsOn": sorted(reference(root) for root in roots)}
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    body = {
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": whole,
                "name": "seclude",
                "version": version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": entries,
        "dependencies": [top, *dependencies],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial.urn,
        "version": 1,
    }
    return head | body


def main() -> int:
    """Write the bill of materials to the file that the command line names."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    made = bill(sys.argv[2:] or list(PRODUCTS))
    Path(sys.argv[1]).write_text(json.dumps(made, indent=1) + "\n")
    linked = [entry for entry in made["components"] if entry["scope"] == "required"]
    print(f"{sys.argv[1]}: {len(made['components'])} crates, {len(linked)} of them linked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
