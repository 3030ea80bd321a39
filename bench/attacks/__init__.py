"""How an innocent's ping fares while a station attacks the switch, in one tree or in two."""
