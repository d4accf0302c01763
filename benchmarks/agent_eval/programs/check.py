"""The smallest thing that can run; wrong until it is fixed."""

print("2 + 2 =", 2 * 2 + 1)
