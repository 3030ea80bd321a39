"""The program: command line, settings, exit codes, and the life of one station."""
