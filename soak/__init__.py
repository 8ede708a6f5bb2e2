"""Long random tests of the whole program: kills, crash points, flipped bits, mutated files, command lines, guards.

`make soak` runs all of it; see README.md.
"""
