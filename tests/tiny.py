"""A real encoder small enough to build in a moment: three BERT layers of 32 dimensions over a word vocabulary.

Its vectors mean nothing, so rankings come from BM25; everything else is as with a real model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

WORDS = (
    "the a of to in and is for on with how what does do i my are by from this that it as be search index document "
    "passage query rank score model train user click log certificate renew proxy backup night soup pasta kitchen "
    "file read write open close path line list sort json parse string number value key error return function class"
)


def build_encoder(folder: Path, texts: Iterable[str] = ()) -> Path:
    """Write a tiny sentence encoder (safetensors, config, tokenizer) into `folder`; words of `texts` get an id each."""
    import torch
    from transformers import BertConfig, BertModel

    vocabulary = _tokenizer(folder, texts)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def build_cross_encoder(folder: Path, texts: Iterable[str] = ()) -> Path:
    """Write a tiny cross-encoder with one output, as a Hugging Face folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    vocabulary = _tokenizer(folder, texts)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        num_labels=1,  # type: ignore[call-arg]
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def _tokenizer(folder: Path, texts: Iterable[str]) -> int:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    words = dict.fromkeys(WORDS.split())
    for text in texts:
        words.update(dict.fromkeys(re.findall(r"[a-z0-9]+", text.lower())))
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?()[]{}=+-*/_'\"<>"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *words]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(vocabulary)
