"""What the station sets up on its machine."""
