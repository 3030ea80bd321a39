"""The module that uwsgi.ini names: builds the server's parts and binds them."""

from vpnws.app import Application
from vpnws.host.server import start
from vpnws.mule import Mule

_server = start()
application = Application(_server)
mule = Mule(_server)
