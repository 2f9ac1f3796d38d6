"""One thin module per program: its arguments, its help, what it calls."""
