"""Inputs of the linear SVMs, row by row."""

import dataclasses

import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.network.linear_head import served_classifier
from model.product import FIELDS
from model.settings import FieldSettings, LinearSettings, ModelSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES
from tokenizer.pretrained_words import PRETRAINED_DIM, PretrainedWords
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.linear_rows import TextReader
from training.ensemble.linear_svm import fit_linear_head, linear_scores
from training.ensemble.ngram_matrix import ngram_matrix

READER = TextReader({"name": 1.0, "mall_category": 0.5}, BUCKETS)


def without_names(catalog: EncodedCatalog, rows: slice) -> EncodedCatalog:
    """The same with some products' names taken away."""
    arrays = {name: np.array(values) for name, values in catalog.arrays.items()}
    arrays["presence"][rows, FIELDS.index("name")] = 0
    for name in ("name_ngram_weights", "name_pretrained"):
        arrays[name][rows] = 0
    return dataclasses.replace(catalog, arrays=arrays)


def test_without_a_name_n_grams_and_words_have_columns_of_their_own(encoded_with_words: EncodedCatalog) -> None:
    ngrams, words = READER.read(without_names(encoded_with_words, slice(10)))
    mall_category = ngram_matrix(encoded_with_words, {"mall_category": 1.0}, BUCKETS).toarray()
    both = ngram_matrix(encoded_with_words, READER.field_weights, BUCKETS).toarray()
    np.testing.assert_allclose(ngrams[10:].toarray(), both[10:])
    turned = np.concatenate([mall_category[:, BUCKETS // 2 :], mall_category[:, : BUCKETS // 2]], axis=1)
    np.testing.assert_allclose(ngrams[:10].toarray(), turned[:10])
    of_name, of_mall_category = (encoded_with_words.arrays[f"{field}_pretrained"] for field in NAMES)
    none = np.zeros_like(of_name)
    np.testing.assert_allclose(
        words[10:].toarray(), np.hstack([of_name, 0.5 * of_mall_category, none])[10:], rtol=0, atol=1e-7
    )
    np.testing.assert_allclose(words[:10].toarray(), np.hstack([none, none, of_mall_category])[:10])


def test_a_row_comes_again_with_its_name_alone_and_without_it(encoded_with_words: EncodedCatalog) -> None:
    rows = READER.rows_to_fit(encoded_with_words, single_field_weight=0.1)
    both = np.flatnonzero(encoded_with_words.arrays["presence"][:57, 1] > 0)
    nameless, named = np.split(np.arange(57, 57 + 2 * len(both)), 2)
    for found, kept in ((nameless, ["mall_category"]), (named, ["name"])):
        ngrams, words = READER.read(encoded_with_words, kept)
        np.testing.assert_array_equal(rows.ngrams[found].toarray(), ngrams[both].toarray())
        np.testing.assert_array_equal(rows.pretrained[found].toarray(), words[both].toarray())
    assert rows.counts.tolist() == [1.0] * (57 + len(both)) + [0.1] * len(both)
    assert rows.inputs.shape == (57 + 2 * len(both), BUCKETS + 3 * PRETRAINED_DIM)
    assert len(READER.rows_to_fit(encoded_with_words, single_field_weight=0.0).labels) == 57


def test_a_row_counts_as_often_as_it_is_drawn_wherever_it_comes(encoded_with_words: EncodedCatalog) -> None:
    own = np.linspace(0.5, 4, 60)
    catalog = dataclasses.replace(encoded_with_words, arrays={**encoded_with_words.arrays, "counts": own})
    rows, plain = (READER.rows_to_fit(some, single_field_weight=0.1) for some in (catalog, encoded_with_words))
    both = np.flatnonzero(encoded_with_words.arrays["presence"][:57, 1] > 0)
    np.testing.assert_allclose(rows.counts, plain.counts * own[np.concatenate([np.arange(57), both, both])])
    np.testing.assert_array_equal(rows.inputs.toarray(), plain.inputs.toarray())


def test_of_more_fields_each_comes_alone_once(encoded: EncodedCatalog) -> None:
    """The brand stands for the mall category's text; every third row has one."""
    arrays = {name.replace("mall_category", "brand"): values for name, values in encoded.arrays.items()}
    presence = np.array(encoded.arrays["presence"])
    presence[:, FIELDS.index("brand")] = np.arange(60) % 3 == 0
    catalog = dataclasses.replace(encoded, arrays={**encoded.arrays, **arrays, "presence": presence})
    reader = TextReader({"name": 1.0, "mall_category": 0.5, "brand": 1.0}, BUCKETS)
    rows = reader.rows_to_fit(catalog, single_field_weight=0.25)
    name, mall_category, brand = (presence[:, FIELDS.index(field)] > 0 for field in reader.field_weights)
    others = mall_category | brand
    alone = [name & others, mall_category & brand, brand & mall_category]
    # The last rows have a brand and nothing else.
    assert (rows.counts == 1).sum() == (name | others).sum() + (name & others).sum()
    assert (rows.counts == 0.25).sum() == sum(flags.sum() for flags in alone)


@pytest.fixture
def tokenizer_with_words(linear_tokenizer: Tokenizer) -> Tokenizer:
    known, fields = linear_tokenizer, list(linear_tokenizer.fields.values())
    words = PretrainedWords([], np.zeros((0, PRETRAINED_DIM), np.float16))
    fields = list(known.fields.values())
    return Tokenizer(
        known.settings, fields, known.tokens, known.word_vectors, known.ngram_frequencies, known.num_texts, words
    )


def test_the_program_answers_as_the_rows_are_read(
    encoded_with_words: EncodedCatalog, tokenizer_with_words: Tokenizer
) -> None:
    catalog = without_names(encoded_with_words, slice(20))
    settings = LinearSettings(linear_rank=2)
    head = fit_linear_head(encoded_with_words, READER.field_weights, Taxonomy(TOY_SHOP), BUCKETS, settings, 0)
    assert head is not None
    shape = ClassifierShape(NAMES, 3, 0)
    network = build_classifier(
        shape, ModelSettings(hidden_dim=2, fcl_dim=2), FieldSettings(), tokenizer_with_words, seed=0
    )
    program = served_classifier(network, shape, head)
    inputs = {tensor.name: catalog.arrays[tensor.name] for tensor in program.inputs}
    inputs["presence"] = inputs["presence"][:, :2]
    scores = linear_scores(head, catalog)
    np.testing.assert_allclose(program(inputs)["linear_logits"], scores, rtol=0, atol=1e-4)
    whole = linear_scores(head, encoded_with_words)
    given = catalog.arrays["presence"][:20, 1] > 0
    assert np.abs(scores - whole)[:20].max() > 0.1
    right = scores.argmax(axis=1) == catalog.arrays["labels"]
    assert right[:20][given].all()  # by mall categories alone
