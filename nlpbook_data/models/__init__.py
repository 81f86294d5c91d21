"""Small models that ship: encoder, decoder, and two tiny shapes without weights."""
