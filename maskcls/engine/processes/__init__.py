"""Several processes of one command: how they connect, decide together, watch each other and end together."""
