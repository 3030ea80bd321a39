"""One uWSGI server: what runs in its master, its workers and its mule."""
