"""Compares vpnws with other layer-2 VPNs, side by side on one machine in one run."""
