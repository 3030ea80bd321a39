"""The client's doctor: walks from the server's name to the first frame, and says where it ends."""
