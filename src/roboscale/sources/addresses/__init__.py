"""Sources that are no local folder: the Hub, https, buckets by fsspec, and archives, fetched and unpacked once."""

from roboscale.sources.addresses.archives import is_archive, unpacked
from roboscale.sources.addresses.fetching import Fetched, address_of, fetch
from roboscale.sources.addresses.hub import hub_dataset, parse_hub

__all__ = ["Fetched", "address_of", "fetch", "hub_dataset", "is_archive", "parse_hub", "unpacked"]
