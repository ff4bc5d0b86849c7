"""Word2Vec on the catalog's own words (Mikolov et al. 2013), through gensim."""

from collections import Counter
from pathlib import Path

import numpy as np

from tokenizer.settings import TokenizerSettings

#: Special ids: 0 is padding, 1 any word out of vocabulary.
PADDING_ID, UNKNOWN_ID, FIRST_WORD_ID = 0, 1, 2


def train_word_vectors(corpus: Path, settings: TokenizerSettings, seed: int) -> tuple[list[str], np.ndarray]:
    """Train vectors on a text file with a sentence per line, tokens separated by spaces.

    Uses one gensim worker, because with more the result depends on thread timing.

    Returns:
        Tokens, the most frequent first, and (2 + number of tokens, vector_size) float32 vectors whose
        first two rows are padding (zeros) and unknown (the mean).
    """
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence

    sentences = LineSentence(str(corpus), max_sentence_length=1_000)
    num_sentences, counts = 0, Counter[str]()
    for sentence in sentences:
        num_sentences += 1
        counts.update(sentence)
    # gensim's own max_final_vocab drops every token that ties with the first one over the limit
    kept = {token: count for token, count in counts.most_common(settings.max_vocabulary) if count >= settings.min_count}
    if not kept:
        return [], np.zeros((FIRST_WORD_ID, settings.vector_size), np.float32)
    model = Word2Vec(
        vector_size=settings.vector_size,
        window=settings.word2vec_window,
        min_count=1,
        sg=1,
        negative=5,
        workers=1,
        seed=seed,
    )
    model.build_vocab_from_freq(kept, corpus_count=num_sentences)
    if settings.word2vec_epochs:
        model.train(sentences, total_examples=num_sentences, epochs=settings.word2vec_epochs)
    words = model.wv.vectors.astype(np.float32)
    words /= max(float(np.linalg.norm(words, axis=1).mean()), 1e-6)
    special = np.stack([np.zeros(settings.vector_size, np.float32), words.mean(axis=0)])
    return list(model.wv.index_to_key), np.concatenate([special, words])
