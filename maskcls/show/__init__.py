"""Everything that a person looks at: progress, tables, pictures, JSON; one file per thing shown.

A value that one command alone returns is defined here, beside the function that prints it.
"""
