"""The tests, and the equipment that measures and breaks studies."""
