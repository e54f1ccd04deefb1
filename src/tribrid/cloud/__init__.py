"""cloud/: everything that calls out: rerank services and language models over HTTP, chosen by settings, paid by budget.

way in      clouds.py: which service may be asked, with which key; allowed.py: which addresses may be
money       purse.py: what it may cost; prices.py: data/models.json
rerank      client.py, spoken as dialects.py says
generate    generator.py: queries from a language model
wire        line.py: one HTTP line with its limits, under both
"""
