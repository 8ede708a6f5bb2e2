"""`maskcls bench`: one file per verb."""
