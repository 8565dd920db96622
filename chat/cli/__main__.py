"""`python -m chat.cli`: talk with Frigo from a terminal or in a pipe."""

from __future__ import annotations

import io
import os
import sys

from chat.cli.errors import CommandError
from chat.cli.once import answer_once, draw_once
from chat.cli.options import read_options
from chat.cli.screen import Screen
from chat.cli.server import Server
from chat.cli.talk import Talk


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, 1 when something failed (one sentence on stderr), 2 on wrong options, 130 on Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal has not every sign
    options = read_options(arguments)
    screen = Screen()
    try:
        server = Server(options)
        if options.diagram:
            return draw_once(server, options, screen)
        if options.interactive:
            return Talk(server, options, screen).run()
        return answer_once(server, options, screen)
    except CommandError as error:
        screen.fail(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who was reading has left: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
