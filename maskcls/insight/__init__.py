"""What a person looks at: pictures and tables of what went in and what came out."""
