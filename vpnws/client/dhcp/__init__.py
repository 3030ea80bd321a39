"""Gets the station an address by DHCP, and keeps it for as long as the station lives."""
