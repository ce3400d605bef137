"""Gives a site's broker TLS, a list of users and a list of what each may do, and has the adapter use it.

    broker.py SITE BIN      SITE: folder of a site that deploy/local/site has brought up; BIN: folder of the executables

Afterwards `Broker(SITE)` says how to reach it. The users: `sightglass` is the adapter, `operator` may do everything below the
namespace, `guest` may read everything and write nothing there.
"""
import os
import secrets
import subprocess
import sys
from pathlib import Path

NAMESPACE = "azure-iot-operations"
USERS = ["sightglass", "operator", "guest"]
TOOLS = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"]

# `nobody/` is refused to the adapter too: what a response topic may be that nobody can use.
ACCESS = f"""\
user sightglass
topic readwrite #
topic deny nobody/#

user operator
topic readwrite {NAMESPACE}/#
topic write /{NAMESPACE}/#
topic readwrite clients/#
topic readwrite invokers/#
topic read nobody/#

user guest
topic read #
topic readwrite guests/#
"""

SERVER_EXTENSIONS = """\
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
"""


class Broker:
    """How the broker of a site is reached."""

    host = "localhost"

    def __init__(self, site):
        self.site = Path(site)
        self.folder = self.site / "mqtt"
        ports = dict(line.split("=") for line in (self.site / "site.env").read_text().split())
        # The port stays: only the site's own plain clients lose their way, and nobody uses these here.
        self.port = int(ports["MQTT_PORT"])
        self.authority = self.folder / "ca.pem"

    def password(self, user):
        return (self.folder / f"{user}.password").read_text().strip()

    def environment(self, user):
        """What mosquitto_pub, _sub and _rr need for being this user: their options, and so the password, are in files."""
        return {**os.environ, "XDG_CONFIG_HOME": str(self.folder / f"{user}.options")}


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def certificates(folder):
    """An authority of our own, and a server certificate for this host."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=MQTT test authority",
            "-addext", "keyUsage=critical,keyCertSign", cwd=folder)
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost", cwd=folder)
    (folder / "server.extensions").write_text(SERVER_EXTENSIONS)
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "server.extensions", "-out", "server.pem", cwd=folder)


def users(broker):
    """The password file, and for each user the option files of mosquitto's own clients."""
    for user in USERS:
        known = broker.site / "secrets/mqtt-password"
        password = known.read_text().strip() if user == "sightglass" else "canary-" + secrets.token_hex(16)
        (broker.folder / f"{user}.password").write_text(password + "\n")
        options = broker.folder / f"{user}.options"
        options.mkdir(exist_ok=True)
        for tool in TOOLS:
            (options / tool).write_text("\n".join([
                f"-h {broker.host}", f"-p {broker.port}", "-V 5", f"-u {user}", f"-P {password}", f"--cafile {broker.authority}"]) + "\n")
    file = broker.folder / "users"
    file.write_text("".join(f"{user}:{broker.password(user)}\n" for user in USERS))
    # It replaces the passwords by their hashes.
    subprocess.run(["mosquitto_passwd", "-U", file], check=True, capture_output=True)


def mosquitto_conf(broker):
    kept = [line for line in (broker.site / "config/mosquitto.conf").read_text().splitlines()
            if line.split(" ")[0] not in ("password_file", "acl_file", "certfile", "keyfile")]
    end = 1 + next(i for i, line in enumerate(kept) if line.startswith("listener "))
    # certfile and keyfile belong to the listener that they follow.
    kept[end:end] = [f"certfile {broker.folder}/server.pem", f"keyfile {broker.folder}/server.key"]
    kept += [f"password_file {broker.folder}/users", f"acl_file {broker.folder}/access"]
    return "\n".join(kept) + "\n"


def adapter_settings(broker):
    kept = [line for line in (broker.site / "config/mqtt-edge-adapter.yaml").read_text().splitlines()
            if not line.startswith("broker-")]
    return "\n".join(kept + [f"broker-host: {broker.host}", f"broker-port: {broker.port}", f"broker-ca-file: {broker.authority}"]) + "\n"


def main():
    # Here, because harness.py imports this file.
    from harness import Site
    os.umask(0o077)
    site, broker = Site(sys.argv[1], sys.argv[2]), Broker(sys.argv[1])
    broker.folder.mkdir(exist_ok=True)
    certificates(broker.folder)
    users(broker)
    (broker.folder / "access").write_text(ACCESS)
    (site.folder / "config/mosquitto.conf").write_text(mosquitto_conf(broker))
    (site.folder / "config/mqtt-edge-adapter.yaml").write_text(adapter_settings(broker))
    site.control("stop", "mqtt-edge-adapter")
    site.control("stop", "broker")
    site.control("start", "broker")
    site.control("start", "mqtt-edge-adapter")
    site.until_ready("mqtt-edge-adapter")


if __name__ == "__main__":
    main()
