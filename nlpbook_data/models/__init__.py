"""Small models that ship: an encoder and two tiny shapes without weights, for random ones."""
