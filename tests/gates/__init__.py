"""Gates: other people's tools and clients against our server."""
