"""Sentiment of a sentence: recurrent networks that read it word by word."""
