"""The studio: pages on which the loop is seen, judged and decided, below `/` and `/studio/`.

A page reads a request, calls the verbs of `tribrid.app.Tribrid` that the API calls too, and draws what they return.
Each is a URL that holds its state, and works without JavaScript: its forms are sent by POST and lead back to a page.
Where one decides what to show, that is a plain function of answers (steps.py, pool.py).
"""

from tribrid.studio.site import create_app, serve

__all__ = ["create_app", "serve"]
