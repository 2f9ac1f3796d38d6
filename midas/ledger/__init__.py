"""What each step of a layer ran with, and what has to be done again (docs/reliability.md#resume)."""
