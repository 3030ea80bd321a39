"""vpnws: a layer-2 VPN over WebSockets whose switch runs inside uWSGI."""

__version__ = "0.1.0"
