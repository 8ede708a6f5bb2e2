"""What networks of a run look at: class activation maps, and the folds that did not train on a photo."""
