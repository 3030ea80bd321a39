"""What the command lines of both programs share: parser, completion in shells, manual pages."""
