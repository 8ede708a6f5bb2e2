"""What a training, or each stage of one with a time limit, would take: measured on a few real steps."""
