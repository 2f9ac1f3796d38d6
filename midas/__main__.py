"""``python -m midas NAME ...`` runs the command NAME, as the launchers in bin/ do."""

from midas.commands.entry import main

main()
