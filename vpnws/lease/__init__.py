"""Addresses for stations: the pools, who leases which address, and until when."""
