"""The program: command line, exit codes, completion in shells."""
