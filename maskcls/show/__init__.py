"""Everything that a person looks at: progress, tables, pictures."""
