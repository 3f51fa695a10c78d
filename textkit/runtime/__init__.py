"""Exported models computed without torch: graphs by onnxruntime, bags by numpy."""
