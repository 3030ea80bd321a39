"""The other processes of one server: the bus and what all of them share."""
