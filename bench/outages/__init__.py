"""What a user sees of outages: the sentences, the exit code, the time until pings pass again."""
