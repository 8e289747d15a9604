"""A timm vision transformer as parts: reading its checkpoint, cutting it into stages, their costs."""
