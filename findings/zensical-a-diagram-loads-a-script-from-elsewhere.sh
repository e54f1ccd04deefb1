#!/usr/bin/env bash
# zensical 0.0.73: one mermaid fence makes the site load a script from another host, with nothing of that in the settings.
#
# Seen: a site of one page, with `font = false` so that no fonts are fetched, and a fence of the language mermaid. The
# page has the diagram as an element of the class mermaid, the site's own bundle names an https address of
# mermaid.min.js, and no file of that name is in the site. A reader's browser asks that host, and without a network
# there is no diagram.
# Tribrid: its documentation has no mermaid fence; diagrams are text, which a terminal shows too (docs/concepts.md).
# tests/docs/test_site.py builds the site and holds that no page has one or loads anything from elsewhere.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check zensical==0.0.73
mkdir "$work/docs"
printf '# Loop\n\n```mermaid\nflowchart LR\n  Index --> Search\n```\n' >"$work/docs/index.md"
printf '[project]\nsite_name = "Loop"\n\n[project.theme]\nfont = false\n' >"$work/zensical.toml"
(cd "$work" && venv/bin/python -m zensical build >/dev/null)
grep -q 'class="mermaid"' "$work/site/index.html" && echo 'the page: class="mermaid"'
found=$(grep -rhoE 'https://[^"`]*/mermaid[^"`]*\.js' "$work/site/assets" | sort -u | sed -E 's#https://[^/]+#https://(another host)#')
echo "the bundle: ${found:?changed: no address of mermaid.js}"
test -z "$(find "$work/site" -name 'mermaid*.js')" && echo "in the site: no such file"
