"""report: draws what was decided, as a page, as JUnit XML, as a model card.

It reads the finished report and decides nothing.
"""
