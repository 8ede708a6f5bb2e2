"""`maskcls data`: one file per verb."""
