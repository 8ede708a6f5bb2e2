"""Networks adapted, without labels, to the photos they are to predict."""
