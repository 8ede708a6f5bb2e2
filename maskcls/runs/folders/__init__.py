"""What a folder is that is no run: something else that maskcls made, or what a killed start left."""
