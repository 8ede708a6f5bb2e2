"""The report page of runs: one module and one template per section."""
