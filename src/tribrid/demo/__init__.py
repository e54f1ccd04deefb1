"""The demo: the whole loop on code search over the Python standard library, against a real server.

collection.py makes the corpus and its labels, server.py runs `tribrid serve` beside it, loop.py calls the routes that
any client calls, and memory.py remembers how far it got. What is seen on the screen is the command line's business.
"""
