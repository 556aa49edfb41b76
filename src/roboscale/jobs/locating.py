"""From what a user names, a local path or an address, to something on this machine."""

from __future__ import annotations

from pathlib import Path

from roboscale.jobs.events import Note, OnEvent, Progress

__all__ = ["located"]


def located(source: Path, on_event: OnEvent, *, metadata_only: bool = False) -> Path:
    """A local path as it is; what lies behind an address, or in an archive, from the cache after it has been fetched.

    Raises:
        BadData: there is nothing, it is not open, or an archive is broken.
        InfrastructureError: the server cannot be reached.
    """
    from roboscale.sources.addresses import address_of, fetch, is_archive, unpacked
    from roboscale.sources.addresses.fetching import cache_folder

    address = address_of(source)
    if address:
        fetched = fetch(
            address,
            metadata_only=metadata_only,
            tell=lambda done, total: on_event(Progress("bytes", done, total or None)),
        )
        on_event(Note(f"{address}: fetched as {fetched.address}, {sum(fetched.sizes.values()) / 1e6:.4g} MB in all"))
        return fetched.root
    if is_archive(source):
        root = unpacked(source, cache_folder())
        on_event(Note(f"{source}: an archive, unpacked once into the cache"))
        return root
    return source
