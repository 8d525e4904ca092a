"""`python -m bot`: the same as `timbre`."""

from bot.cli import main

main()
