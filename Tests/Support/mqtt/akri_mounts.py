"""The folders that Kubernetes mounts into the pod of an Akri connector, as aio-compatibility.md 6.1 describes them, written
the way kubelet writes them. For tests of a connector, without Kubernetes.

    mounts = AkriMounts(tmp / "akri")
    mounts.configuration("127.0.0.1", port, tls=False)
    mounts.credentials({"cam1-secret/user": "viewer", "cam1-secret/password": "s3cret"})
    mounts.endpoints({"cam1_in1": ["line1", "line2"]})
    subprocess.Popen([connector], env={**os.environ, **mounts.environment("pod-0", "azure-iot-operations")})
    mounts.endpoints({"cam1_in1": ["line1"]})    # the asset line2 is gone

Each of the methods gives a mount its whole new content, in one swap. In a mounted folder lie

    ..2026_11_29_21_40_12.345678901/cam1_in1     the content, in a folder that never changes
    ..data -> ..2026_11_29_21_40_12.345678901    replaced by rename(), so that readers see the old or the new state
    cam1_in1 -> ..data/cam1_in1                  what the contract names; made after the swap, removed after it

and the folder of the state before is deleted last. As with kubelet nothing at all happens where the content stays the same.
"""
import json
import os
import shutil
import time
from pathlib import Path

# Variable: where it points to, below the root (a pod has /etc/akri in place of the root).
ALWAYS = {
    "CONNECTOR_CONFIGURATION_MOUNT_PATH": "config/connector_configuration",
    "CONNECTOR_SECRETS_METADATA_MOUNT_PATH": "config/connector_secrets_metadata",
    "CONNECTOR_SECRETS_MOUNT_PATH": "secrets/connector_secrets",
    "CONNECTOR_TRUST_SETTINGS_MOUNT_PATH": "secrets/connector_trust_settings",
    "ADR_RESOURCES_NAME_MOUNT_PATH": "config/adr_resources_names",
    "DEVICE_ENDPOINT_CREDENTIALS_MOUNT_PATH": "secrets/device_endpoint_auth",
}
# The same of what is there only once it was given: a broker for tests may have no TLS and no tokens.
WHERE_GIVEN = {
    "BROKER_TLS_TRUST_BUNDLE_CACERT_MOUNT_PATH": "cacerts/broker_tls_trust_bundle",
    "BROKER_SAT_MOUNT_PATH": "secrets/broker-sat",
    "DEVICE_ENDPOINT_TLS_TRUST_BUNDLE_CA_CERT_MOUNT_PATH": "cacerts/device_endpoint_tls_trust_bundle",
}


class AkriMounts:
    """All mounts of one connector, below `root`. Those that every connector has are there from the start, empty."""

    def __init__(self, root):
        self.root = Path(root).absolute()
        for folder in ALWAYS.values():
            self._swap(folder, {})

    def configuration(self, host, port, tls, keep_alive_s=60, max_inflight=100, session_expiry_s=600, log_level=None,
                      additional=None, volumes=()):
        """How to reach the broker; `additional` is the template's additionalConfiguration (a text or what JSON makes one of),
        `volumes` the mount paths of persistent volumes. What is not given has no file, as with the operator."""
        connection = {
            "host": f"{host}:{port}", "keepAliveSeconds": keep_alive_s, "maxInflightMessages": max_inflight, "protocol": "mqtt",
            "sessionExpirySeconds": session_expiry_s, "tls": {"mode": "Enabled" if tls else "Disabled"},
        }
        files = {"MQTT_CONNECTION_CONFIGURATION": json.dumps(connection)}
        if log_level is not None:
            files["DIAGNOSTICS"] = json.dumps({"logs": {"level": log_level}})
        if additional is not None:
            files["ADDITIONAL_CONNECTOR_CONFIGURATION"] = additional if isinstance(additional, str) else json.dumps(additional)
        if volumes:
            files["PERSISTENT_VOLUME_MOUNT_PATH"] = "\n".join(map(str, volumes))
        self._swap(ALWAYS["CONNECTOR_CONFIGURATION_MOUNT_PATH"], files)

    def endpoints(self, assets):
        """{"device_endpoint": ["asset1", "asset2"]}: the endpoints that the connector has to serve, and their assets."""
        self._swap(ALWAYS["ADR_RESOURCES_NAME_MOUNT_PATH"], {name: "\n".join(lines) for name, lines in assets.items()})

    def credentials(self, files):
        """{"rel/path": "text"}: secrets for cameras, by the paths that `getDevice` gives."""
        self._swap(ALWAYS["DEVICE_ENDPOINT_CREDENTIALS_MOUNT_PATH"], files)

    def secrets(self, texts):
        """{"alias": "text"}: the template's own secrets. Two mounts, so two swaps; the one with the names comes last, so that
        a name never lacks its secret."""
        paths = {alias: f"{alias}-secret/value" for alias in texts}
        self._swap(ALWAYS["CONNECTOR_SECRETS_MOUNT_PATH"], {paths[alias]: text for alias, text in texts.items()})
        self._swap(ALWAYS["CONNECTOR_SECRETS_METADATA_MOUNT_PATH"], paths)

    def trust_settings(self, files):
        """{"ca.crt": "PEM"}: authorities that every instance trusts, for cameras and media servers."""
        self._swap(ALWAYS["CONNECTOR_TRUST_SETTINGS_MOUNT_PATH"], files)

    def trust_bundle(self, files):
        """{"ca.crt": "PEM"}: authorities of the broker."""
        self._swap(WHERE_GIVEN["BROKER_TLS_TRUST_BUNDLE_CACERT_MOUNT_PATH"], files)

    def device_trust(self, trust_list, files):
        """The same of the cameras whose endpoints name this trust list. Each list is a mount of its own."""
        self._swap(f"{WHERE_GIVEN['DEVICE_ENDPOINT_TLS_TRUST_BUNDLE_CA_CERT_MOUNT_PATH']}/{trust_list}", files)

    def broker_token(self, text):
        """The service account token. Its mount is the folder around the file, in which other mounts lie too."""
        self._swap("secrets", {"broker-sat": text})

    def environment(self, connector_id, namespace):
        """The variables with which the operator starts a connector, by what has been written so far."""
        there = {name: path for name, path in WHERE_GIVEN.items() if (self.root / path).exists()}
        return {
            "CONNECTOR_ID": connector_id, "CONNECTOR_NAMESPACE": namespace,
            "AZURE_EXTENSION_RESOURCEID": "/subscriptions/test/providers/Microsoft.KubernetesConfiguration/extensions/test",
            **{name: str(self.root / path) for name, path in {**ALWAYS, **there}.items()},
        }

    def _swap(self, mount, files):
        """Gives a mounted folder a new content: {path: text}."""
        folder = self.root / mount
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            if path.startswith(("..", "/")) or "/../" in path:
                raise ValueError(f"no path for a mounted file: {path}")
        data = folder / "..data"
        before = folder / os.readlink(data) if data.is_symlink() else None
        if before and files == {str(path.relative_to(before)): path.read_text() for path in before.rglob("*") if path.is_file()}:
            return
        # The nanoseconds: kubelet appends random digits so that two swaps within a second do not meet.
        now = time.time_ns()
        content = folder / time.strftime(f"..%Y_%m_%d_%H_%M_%S.{now % 10**9:09d}", time.gmtime(now // 10**9))
        content.mkdir()
        for path, text in files.items():
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            (content / path).write_text(text)
        fresh = folder / "..data_tmp"
        fresh.symlink_to(content.name)
        fresh.rename(data)
        # Of a path with folders only the first part has a link; links that are there already lead to the new state by now.
        names = {path.split("/")[0] for path in files}
        for name in names:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        for entry in folder.iterdir():
            if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
                entry.unlink()
        if before:
            shutil.rmtree(before)
