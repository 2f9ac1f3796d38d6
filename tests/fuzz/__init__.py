"""Mutated inputs in large numbers, counted and bounded: ``python -m tests.fuzz TARGET --count N --seed S``.

What was found once is kept in ``corpus/<target>/`` and run again by `test_fuzz_corpus.py` in every test run.
"""
