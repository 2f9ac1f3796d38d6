"""From seeds to crystals: every spot has an owner, and a crystal owns spots alone (docs/theory/resolving.md)."""
