"""How good predictions are: metrics, calibration of the evaluation, slices."""
