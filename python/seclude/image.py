"""Images in a store, and sandboxes that have them as their roots: `seclude.Image`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, Unpack

import seclude

from . import _seclude
from .command import size
from .policy import Policy
from .vocabulary import ChangeKind, IdsName, Path


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What a store knows of one of its images."""

    name: str
    """The name."""
    digest: str
    """The digest of the manifest, or of what the image was imported from."""
    layers: int
    """The number of layers that are shown one above the other."""
    bytes: int
    """The number of bytes in files. Layers that images share count for each."""
    entries: int
    """The number of entries in the layers."""
    used: float
    """The last use, in seconds since the epoch: the import, or the start of a sandbox."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection has removed."""

    images: int
    """The number of names."""
    layers: int
    """The number of layers."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file or directory of an overlay that differs from its layers."""

    kind: ChangeKind
    """What happened to it: `added`, `changed` or `deleted`."""
    path: str
    """The path inside."""


class Store:
    """A directory with images: the files of their layers, and their names.

    Without `path` it is the caller's own store: at the path in the environment variable
    `SECLUDE_STORE`, else at `/var/lib/seclude/store` for root, and for other users at
    `$XDG_DATA_HOME/seclude/store` or `~/.local/share/seclude/store`. It is made if it is not there.
    The file system must be one that overlays can write to: ext4, xfs, btrfs or, since Linux 6.6,
    tmpfs; not another overlay or NFS.

    Many threads and processes can use one store at once. What a program in a sandbox changes is
    never in it. An image that is in use stays until it is not.

    Raises PolicyError if the store is open to other users, who could find set-user-ID programs
    there, and SetupError if it cannot be made.
    """

    __slots__ = ("_core",)
    _core: _seclude.Store

    def __init__(self, path: Path | None = None) -> None:
        self._core = _seclude.Store.open(None if path is None else os.fsdecode(path))

    @classmethod
    def _of(cls, core: _seclude.Store) -> Self:
        store = cls.__new__(cls)
        store._core = core
        return store

    @property
    def path(self) -> str:
        """The path of the store."""
        return os.fspath(self._core.path)

    def import_oci(self, directory: Path, reference: str | None = None, **options: Any) -> Image:
        """Import an image from an OCI image layout, as `skopeo copy` makes it.

        `reference` chooses one of several. The options are those of `import_tar`.
        """
        return self._import("oci", directory, reference, **options)

    def import_archive(self, file: Path, reference: str | None = None, **options: Any) -> Image:
        """Import an image from an archive of `docker save`, or of an OCI image layout.

        `reference` chooses one of several. The options are those of `import_tar`.
        """
        return self._import("archive", file, reference, **options)

    def import_tar(
        self,
        file: Path,
        *,
        name: str | None = None,
        max_bytes: int | str | None = None,
        max_entries: int | None = None,
        ids: IdsName | None = None,
    ) -> Image:
        """Import the files of a root from a tar archive, as `docker export` makes it.

        It may be compressed with gzip or Zstandard. `name` is the name of the image in the store,
        which may have stood for another one; without it, the image has its digest as one.
        `max_bytes` and `max_entries` bound what is unpacked, by default 16 GiB and 2,000,000. `ids`
        says how many ids own the files, as the key of the same name in policies; sandboxes with the
        image must have as many.

        Layers that the store already has are not read again. The files are made in a sandbox, with
        the ids that a sandbox of this caller's can have: a privileged caller's with their owners,
        and an unprivileged caller's all with one owner. Device nodes and sockets are left out.

        Raises PolicyError if the image is damaged, has another digest than its manifest says, leads
        out of itself or exceeds the bounds. Nothing is left of it in the store then, but layers
        that were complete. Raises SetupError of kind `source-missing` if it is not there, and of
        kind `io` if the store has no room.
        """
        return self._import(
            "tar", file, None, name=name, max_bytes=max_bytes, max_entries=max_entries, ids=ids
        )

    def import_directory(self, directory: Path, **options: Any) -> Image:
        """Import the files of a root from a directory. The options are those of `import_tar`.

        What is mounted below the directory is left out.
        """
        return self._import("directory", directory, None, **options)

    def import_found(self, path: Path, reference: str | None = None, **options: Any) -> Image:
        """Import whichever of the others is at `path`. The options are those of `import_tar`."""
        return self._import("found", path, reference, **options)

    def _import(
        self,
        form: str,
        path: Path,
        reference: str | None,
        *,
        name: str | None = None,
        max_bytes: int | str | None = None,
        max_entries: int | None = None,
        ids: IdsName | None = None,
    ) -> Image:
        most = None if max_bytes is None else size("max_bytes", max_bytes)
        return Image._of(
            self._core.import_(form, os.fsdecode(path), reference, name, most, max_entries, ids)
        )

    def image(self, name: str) -> Image:
        """Return the image with this name.

        Raises SetupError of kind `source-missing` if there is none, with the most similar name.
        """
        return Image._of(self._core.image(name))

    def images(self) -> list[StoredImage]:
        """Return all images, by name."""
        return [StoredImage(*fields) for fields in self._core.images()]

    def remove(self, name: str) -> None:
        """Remove the name of an image.

        Its files go with the next `collect`, unless another image has them.
        """
        self._core.remove(name)

    def collect(self, unused_for: float | None = None) -> Freed:
        """Remove the files of no image, and what killed imports have left.

        With `unused_for`, also the images that no sandbox has used for so many seconds. What is in
        use stays.
        """
        return Freed(*self._core.collect(unused_for))

    def __eq__(self, other: object) -> bool:
        return self._core == other._core if isinstance(other, Store) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"seclude.Store({self.path!r})"


class Image:
    r"""A file system with the software of another system, in a `Store`.

    It stays there as long as this object, or a sandbox that uses it, exists. As the root of a
    sandbox, it can be changed: the changes are in memory and are gone with the sandbox.

        >>> import seclude
        >>> image = seclude.Image.from_tar("/srv/debian.tar.gz")  # doctest: +SKIP
        >>> box = seclude.Sandbox(root=image, uid=0, gid=0)  # doctest: +SKIP
        >>> box.run(["cat", "/etc/os-release"])  # doctest: +SKIP
    """

    __slots__ = ("_core",)
    _core: _seclude.Image

    def __init__(self) -> None:
        raise TypeError("an image comes from a store: Image.from_tar(...), Store().image(...)")

    @classmethod
    def _of(cls, core: _seclude.Image) -> Self:
        image = cls.__new__(cls)
        image._core = core
        return image

    @classmethod
    def from_oci(cls, directory: Path, reference: str | None = None) -> Image:
        """Import an image into the caller's own store: see `Store.import_oci`."""
        return Store().import_oci(directory, reference)

    @classmethod
    def from_archive(cls, file: Path, reference: str | None = None) -> Image:
        """Import an image into the caller's own store: see `Store.import_archive`."""
        return Store().import_archive(file, reference)

    @classmethod
    def from_tar(cls, file: Path) -> Image:
        """Import an image into the caller's own store: see `Store.import_tar`."""
        return Store().import_tar(file)

    @classmethod
    def from_directory(cls, directory: Path) -> Image:
        """Import an image into the caller's own store: see `Store.import_directory`."""
        return Store().import_directory(directory)

    @property
    def name(self) -> str:
        """The name in the store."""
        return self._core.name

    @property
    def digest(self) -> str:
        """The digest of the manifest, or of what it was imported from: `sha256:` and 64 digits."""
        return self._core.digest

    @property
    def store(self) -> Store:
        """The store that it is in."""
        return Store._of(self._core.store)

    @property
    def layers(self) -> int:
        """The number of layers that are shown one above the other."""
        return self._core.layers

    @property
    def bytes(self) -> int:
        """The number of bytes in the files of its layers."""
        return self._core.bytes

    @property
    def entries(self) -> int:
        """The number of entries in its layers."""
        return self._core.entries

    @property
    def left_out(self) -> int:
        """The number of device nodes and sockets that were left out."""
        return self._core.left_out

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands."""
        return dict(self._core.environment())

    @property
    def directory(self) -> str:
        """The working directory of its commands."""
        return os.fspath(self._core.directory)

    @property
    def user(self) -> str:
        """The user of its commands, and the group: `USER[:GROUP]`, as names or numbers.

        Empty if the image does not say it, which means root.
        """
        return self._core.user

    @property
    def arguments(self) -> list[str]:
        """The program that it is for, with its arguments. Empty if the image does not say it."""
        return self._core.arguments()

    def sandbox(self, **policy: Unpack[Policy]) -> seclude.Sandbox:
        """Return a sandbox with the image as its root, whose commands are the image's user.

        `policy` are further keys of the policy. Raises PolicyError if the image has no user of
        that name.
        """
        from .sandbox import Sandbox

        own: dict[str, Any] = json.loads(self._core.policy())
        files = [*own.pop("files"), *(policy.get("files") or ())]
        return Sandbox(**{**own, **policy, "files": files})

    def command(self) -> dict[str, Any]:
        """Return the command that the image is for: the arguments of `Sandbox.run` and `popen`.

        These are `args`, `env` and `cwd`: `image.sandbox().run(**image.command())`. Others can
        take their places: `run(["ls"], **image.command() | {"args": ["ls"]})`.
        """
        return {"args": self.arguments, "env": self.environment, "cwd": self.directory}

    def overlay(
        self,
        at: Path = "/",
        *,
        size: int | str | None = None,
        inodes: int | None = None,
        kept: Path | None = None,
    ) -> seclude.Overlay:
        """Return the entry that shows the image at a path: see `overlay`."""
        from .files import Overlay

        return Overlay(
            (), at, size=size, inodes=inodes, kept=kept, image=self.name, store=self.store.path
        )

    def export_oci(self, directory: Path, reference: str = "latest") -> None:
        """Write the image as an OCI image layout into a directory, which is new or empty.

        Other programs can take it from there, such as `skopeo copy oci:DIRECTORY docker://NAME`.
        Each layer has the owners that the image was imported with, and is compressed with gzip. The
        same image gives the same bytes. `reference` is its name in the layout. Raises PolicyError
        if the directory has something in it.
        """
        self._core.export_oci(os.fsdecode(directory), reference)

    def export_tar(self, file: Path) -> None:
        """Write the files of the image, as its programs see them, as a tar archive.

        It is not compressed, and the file must not exist. The same image gives the same bytes.
        """
        self._core.export_tar(os.fsdecode(file))

    def __repr__(self) -> str:
        return f"<seclude.Image: {self.name}>"


def given(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy with the overlay of an image in place of that as `root`."""
    root = policy.get("root")
    if not isinstance(root, Image):
        return dict(policy)
    files = [root.overlay(), *(policy.get("files") or ())]
    return {**policy, "root": None, "files": files}
