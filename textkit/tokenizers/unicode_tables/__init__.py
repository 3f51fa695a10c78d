"""Character classes of Unicode: words, graphemes and sentences of UAX 29."""

UNICODE_VERSION = "15.0"
