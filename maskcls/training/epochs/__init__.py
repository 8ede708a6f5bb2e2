"""The epochs of a trained fold: their out-of-fold rows, and the choice of one."""
