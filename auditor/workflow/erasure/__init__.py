"""One erasure from a granted request to its verdict, and many of them."""
