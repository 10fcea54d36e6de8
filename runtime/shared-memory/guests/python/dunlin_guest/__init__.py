"""The Python guest of Dunlin: runs one function, talks to the agent over shared memory. Standard library only, Python 3.9 or later."""
