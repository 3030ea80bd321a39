"""The WSGI module that uwsgi.ini names: builds the application and binds it."""

from vpnws.app import build

application = build()
