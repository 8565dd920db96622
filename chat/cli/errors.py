"""What ends a command: one sentence for the person."""


class CommandError(Exception):
    """Something cannot be done; the message says what and what to do."""
