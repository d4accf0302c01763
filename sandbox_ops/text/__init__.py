"""Text to values and values to text. Pure: no clock, file, network or terminal."""
