"""What a running client tells its system: the service manager, the log, and who asks for status."""
