"""Request ids: the same request twice does its work once."""
