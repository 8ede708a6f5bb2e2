"""Networks whose backbone is not trained: features once for all folds, and heads fitted on them."""
