"""A studio that is served, and the addresses of its pages."""

from __future__ import annotations

from dataclasses import dataclass

from serving import Running
from tribrid.app import Tribrid

CORPUS = "notes"
MARKUP = "<i class='marker'>read</i> & <b>write</b>"
"""In a title, an id and a query: harmless if it is shown as text."""


@dataclass(frozen=True)
class Studio:
    """A server, what it serves, and ids of what the loop made there."""

    server: Running
    tribrid: Tribrid
    run_id: str
    other_run_id: str
    model_id: str
    evaluation_id: str

    @property
    def pages(self) -> dict[str, str]:
        """A name and the address of each page."""
        c = f"/studio/c/{CORPUS}"
        return {
            "home": "/",
            "loop": c,
            "search, empty": f"{c}/search",
            "search": f"{c}/search?q=read+soup&system=retrieval&system=champion&system={self.model_id}",
            "search, a document": f"{c}/search?q=read+soup&doc=notes/soup.md",
            "judge": f"{c}/judge",
            "judge, what tells most": f"{c}/judge?telling=true",
            "judge, a query": f"{c}/judge?q=read+soup",
            "judge, as one of two": f"{c}/judge?q=read+soup&name=anna&doc=notes/soup.md",
            "agreement": f"{c}/judge/agreement?a=anna&b=some-model",
            "review": f"{c}/review",
            "review, all": f"{c}/review?status=",
            "runs": f"{c}/runs",
            "run": f"{c}/runs/{self.run_id}",
            "runs compared": f"{c}/runs/compare?a={self.run_id}&b={self.other_run_id}",
            "evaluations": f"{c}/evaluations",
            "evaluation": f"{c}/evaluations/{self.evaluation_id}",
            "evaluations compared": f"{c}/evaluations/compare?a={self.evaluation_id}&b={self.evaluation_id}",
            "models": f"{c}/models",
            "model": f"{c}/models/{self.model_id}",
            "card": f"{c}/models/{self.model_id}/card",
            "experiment": f"{c}/experiment",
            "documents": f"{c}/documents",
            "document": f"{c}/documents/one?id=notes/soup.md",
            "logs": f"{c}/logs",
            "settings": f"{c}/settings",
            "settings for all": "/studio/settings",
            "keys": "/studio/keys",
            "no such page": "/studio/none",
            "no such corpus": "/studio/c/none",
        }
