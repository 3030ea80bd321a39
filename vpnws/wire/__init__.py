"""The wire formats, as pure functions and state machines over bytes."""
