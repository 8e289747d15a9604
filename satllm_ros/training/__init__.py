"""Training a vision transformer on a labelled data set, and measuring its accuracy."""
