"""What the command lines of both programs share: parser, completion, manual pages, units."""
