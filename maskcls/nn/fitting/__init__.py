"""Heads fitted on the features of a backbone that is not trained; arrays in, arrays out."""
