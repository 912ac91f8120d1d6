"""The networks from which clients come, as far as limits and counts tell them apart."""

import ipaddress

NETWORK_BITS = 64
"""Of an IPv6 address: whoever has one has all that begin with these."""


def network_of(address: str) -> str:
    """Return what stands for the network from which an address comes; the text itself if it is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a client at a Unix socket has none
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), NETWORK_BITS), strict=False))
