"""A model folder inside transformers: importing this registers textkit's config, model and
tokenizer with the Auto classes.

    import textkit.integrations.transformers
    from transformers import pipeline

    classify = pipeline("text-classification", "reviews.model")

In: a model folder that `TextClassifier.save`, `textkit train` or `textkit export` wrote. Out: the
probabilities of `predict_proba`, by the library's own methods; `save_pretrained` writes such a
folder again.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from textkit.integrations.transformers.config import TextkitConfig
from textkit.integrations.transformers.model import TextkitForSequenceClassification
from textkit.integrations.transformers.tokenizer import TextkitTokenizer

__all__ = ["TextkitConfig", "TextkitForSequenceClassification", "TextkitTokenizer"]

AutoConfig.register(TextkitConfig.model_type, TextkitConfig, exist_ok=True)
AutoModelForSequenceClassification.register(
    TextkitConfig, TextkitForSequenceClassification, exist_ok=True
)
AutoTokenizer.register(TextkitConfig, slow_tokenizer_class=TextkitTokenizer, exist_ok=True)
# By which `pipeline("text-classification")` knows the models that it takes.
MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES[TextkitConfig.model_type] = (
    TextkitForSequenceClassification.__name__
)
