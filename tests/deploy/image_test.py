"""deploy/image/build: the same bytes each time, a valid OCI archive, and programs that run in it."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import unittest

import common


def build(directory):
    """(name, bytes of the archive)"""
    environment = {**os.environ, "SLUICE_BIN_DIR": common.BIN, "SLUICE_IMAGE_DIR": directory, "SLUICE_IMAGE": "",
                   "SOURCE_DATE_EPOCH": "1700000000"}
    name = common.run(common.path("deploy/image/build"), env=environment).strip()
    with open(os.path.join(directory, "sluice.tar"), "rb") as file:
        return name, file.read()


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.name, cls.archive = build(cls.directory.name)
        with tarfile.open(fileobj=io.BytesIO(cls.archive)) as tar:
            cls.files = {member.name.removeprefix("./"): tar.extractfile(member).read()
                         for member in tar if member.isfile()}

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def blob(self, descriptor):
        kind, digest = descriptor["digest"].split(":")
        self.assertEqual(kind, "sha256")
        blob = self.files[f"blobs/sha256/{digest}"]
        self.assertEqual(hashlib.sha256(blob).hexdigest(), digest)
        self.assertEqual(len(blob), descriptor["size"])
        return blob

    def parts(self):
        """Index entry, configuration, layer."""
        [entry] = json.loads(self.files["index.json"])["manifests"]
        manifest = json.loads(self.blob(entry))
        self.assertEqual(manifest["mediaType"], entry["mediaType"])
        self.assertEqual(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json")
        [layer] = manifest["layers"]
        self.assertEqual(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip")
        return entry, json.loads(self.blob(manifest["config"])), gzip.decompress(self.blob(layer))

    def test_same_bytes_again(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertTrue(build(directory)[1] == self.archive)

    def test_archive(self):
        self.assertEqual(json.loads(self.files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        entry, config, layer = self.parts()
        self.assertEqual(entry["annotations"]["io.containerd.image.name"], self.name)
        self.assertRegex(self.name, r"^localhost/sluice:[0-9.]+$")
        self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(layer).hexdigest()])
        self.assertEqual(config["created"], "2023-11-14T22:13:20Z")
        self.assertEqual(config["architecture"], entry["platform"]["architecture"])
        # Nothing but the two files at the top and the three blobs.
        self.assertEqual(len(self.files), 5)

    def test_layer(self):
        with tarfile.open(fileobj=io.BytesIO(self.parts()[2])) as tar:
            members = tar.getmembers()
            certificates = tar.extractfile("./etc/ssl/certs/ca-certificates.crt").read()
        names = [member.name for member in members]
        self.assertIn("./usr/sbin/sluiced", names)
        for member in members:
            self.assertEqual((member.uid, member.gid, member.mtime), (0, 0, 1700000000), member.name)
            self.assertFalse(member.mode & 0o6000, f"{member.name} changes its user")
        self.assertFalse([name for name in names if os.path.basename(name) in ("sh", "bash", "dash", "busybox")])
        self.assertGreater(certificates.count(b"BEGIN CERTIFICATE"), 100)
        for owner in ("libc6", "libgrpc29", "ca-certificates"):
            self.assertIn(f"./var/lib/dpkg/status.d/{owner}", names)
            self.assertIn(f"./usr/share/doc/{owner}/copyright", names)
        self.assertLess(len(self.archive), 40_000_000)

    def test_programs_run(self):
        into = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
        with tempfile.TemporaryDirectory() as root:
            subprocess.run(["tar", "-x", "-C", root, "--no-same-owner"], input=self.parts()[2], check=True)

            def inside(*command):
                return common.run(*into, "chroot", root, *command)

            self.assertIn("--uninstall", inside("/usr/sbin/sluiced", "--help"))
            self.assertIn("sluice", inside("/usr/bin/sluice", "version", "--client"))
            inside("/usr/bin/sleep", "0")
            if os.path.exists(os.path.join(common.BIN, "sluice-cni")):
                self.assertIn("install", inside("/usr/bin/sluice-cni", "--help"))


if __name__ == "__main__":
    common.main()
