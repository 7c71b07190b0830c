"""The site's generated pages: the reference, the algorithms, the tutorials, what was measured."""
