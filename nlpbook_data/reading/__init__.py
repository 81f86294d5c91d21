"""Files as rows: official ones and the user's own go through the same readers.

A reader streams, names file and place in every error, and guesses nothing. `advice` is the last
sentence of its errors: an official file is fetched again, a file of one's own is mended.
"""
