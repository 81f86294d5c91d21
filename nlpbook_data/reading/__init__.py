"""Read files as rows: official files and the user's own files share these readers.

A reader streams, names file and place in every error, and guesses nothing. `advice` is the last
sentence of its errors: download an official file again, or mend your own file.
"""
