"""What the client and vpnws-ctl share to speak with a web server: TLS, user and password."""
