"""`maskcls runs`: one file per verb."""
