"""Classifier inputs by name; produced by the preprocessor, read by engines and neighbours."""

import numpy as np

#: Names and row shapes; L is a length setting, F the feature width. Inputs of fields that the bundle was not trained
#: with do not exist.
#:   <sequence field>_token_ids (L,) int32      name, mall_category
#:   <text field>_ngram_ids (L,) int32, <text field>_ngram_weights (L,) float32
#:   <sequence field>_pretrained (PRETRAINED_DIM,) float32, with pretrained words only
#:   image_features (F,) float32                presence (number of fields,) float32, 1.0 where given
Features = dict[str, np.ndarray]
