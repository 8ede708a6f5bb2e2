"""A training with a time limit (`train --budget`): stages of growing cost, and the one that answers for the folder."""
