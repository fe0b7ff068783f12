"""A client that uses libtorrent: python3 libtorrent_client.py TORRENT-OR-MAGNET DIRECTORY PORT. Runs until it is killed."""

import sys

import libtorrent

torrent, directory, port = sys.argv[1:]
category = libtorrent.alert.category_t
session = libtorrent.session(
    {
        "listen_interfaces": "127.0.0.1:" + port,
        "alert_mask": category.error_notification
        | category.status_notification
        | category.tracker_notification
        | category.peer_notification
        | category.connect_notification,
        # The tracker's peers include itself. It then bans its own address, which is everybody's on loopback.
        "allow_multiple_connections_per_ip": True,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_natpmp": False,
        "enable_upnp": False,
    }
)
if torrent.startswith("magnet:"):
    parameters = libtorrent.parse_magnet_uri(torrent)
else:
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = directory
session.add_torrent(parameters)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(type(alert).__name__, alert, flush=True)
