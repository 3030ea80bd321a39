"""Guards: each looks at a frame or an address and says whether it may pass."""
