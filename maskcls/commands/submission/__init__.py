"""`maskcls submission`: one file per verb."""
