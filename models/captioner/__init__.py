"""Captions of photos: a CNN seeds an LSTM."""
