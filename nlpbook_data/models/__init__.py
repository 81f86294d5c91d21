"""Small models that ship with the package: encoder, decoder, two tiny configs without weights."""
