"""The trials of a search over settings, and the score of the best of them on people who took no part in the choice."""
