"""Trackers: TensorBoard, wandb, MLflow or CSV files that also get what a training logs."""
