"""What the verbs that train networks print."""
