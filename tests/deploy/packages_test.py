"""scripts/package: what the Debian packages have, and what their scripts call."""

import os
import re
import stat
import subprocess
import tempfile
import unittest

import common

# Stands for systemctl and the like: writes down how it was called.
RECORDER = '#!/bin/sh\necho "${0##*/} $*" >>"$RECORD"\n'


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        environment = {**os.environ, "SLUICE_BIN_DIR": common.BIN, "SOURCE_DATE_EPOCH": "1700000000"}
        printed = common.run(common.path("scripts/package"), cls.directory.name, "sluice-agent", "sluice-client",
                             "sluice-relay", env=environment)
        cls.packages = {os.path.basename(name).split("_")[0]: name for name in printed.split()}
        cls.roots = {}
        for name, package in cls.packages.items():
            cls.roots[name] = os.path.join(cls.directory.name, name)
            common.run("dpkg-deb", "--raw-extract", package, cls.roots[name])

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def field(self, name, field):
        return common.run("dpkg-deb", "--field", self.packages[name], field).strip()

    def inside(self, name, file):
        return os.path.join(self.roots[name], file)

    def text(self, name, file):
        with open(self.inside(name, file), encoding="utf-8") as opened:
            return opened.read()

    def test_all_were_made(self):
        self.assertEqual(sorted(self.packages), ["sluice-agent", "sluice-client", "sluice-relay"])

    def test_dependencies_are_the_libraries(self):
        for package, library in (("sluice-agent", "libbpf1"), ("sluice-agent", "libgrpc++1.51"),
                                 ("sluice-client", "libgrpc++1.51")):
            self.assertRegex(self.field(package, "Depends"), re.escape(library) + r"\b")
        self.assertNotIn("libbpf", self.field("sluice-client", "Depends"))
        # Debian has another package with a program of this name.
        self.assertEqual(self.field("sluice-client", "Conflicts"), "sluice")

    def test_programs_run(self):
        self.assertIn("--uninstall", common.run(self.inside("sluice-agent", "usr/sbin/sluiced"), "--help"))
        common.run(self.inside("sluice-client", "usr/bin/sluice"), "version", "--client")

    def test_configuration(self):
        self.assertEqual(self.text("sluice-agent", "DEBIAN/conffiles"), "/etc/sluice/sluiced.conf\n")
        sluiced, conf = (self.inside("sluice-agent", name) for name in ("usr/sbin/sluiced", "etc/sluice/sluiced.conf"))
        # Each option in it is known, those that are commented out too.
        with open(conf, encoding="utf-8") as file:
            text = file.read()
        active = re.sub(r"^#(\w[\w-]* = )", r"\1", text, flags=re.M).replace("/etc/sluice/resources", "/etc")
        self.assertGreater(active.count("\nuplink = "), 0)
        with open(conf, "w", encoding="utf-8") as file:
            file.write(active)
        common.run(sluiced, "--config", conf, "--help")
        with open(conf, "a", encoding="utf-8") as file:
            file.write("no-such-option = 1\n")
        self.assertIn("no-such-option", common.is_refused(sluiced, "--config", conf, "--uninstall", "--bpf-root", "/x"))
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)

    def test_relay(self):
        relay, conf = (self.inside("sluice-relay", name) for name in ("usr/bin/sluice-relay", "etc/sluice/relay.conf"))
        self.assertEqual(self.text("sluice-relay", "DEBIAN/conffiles"), "/etc/sluice/relay.conf\n")
        self.assertIn("no agents", common.is_refused(relay, "--config", conf))
        # Each option in it is known.
        active = re.sub(r"^#(\w[\w-]* = )", r"\1", self.text("sluice-relay", "etc/sluice/relay.conf"), flags=re.M)
        self.assertGreater(active.count("\nagent = "), 0)
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
            file.write(active)
            file.flush()
            self.assertIn("/etc/sluice/relay.crt: ", common.is_refused(relay, "--config", file.name))
        unit = self.text("sluice-relay", "lib/systemd/system/sluice-relay.service")
        self.assertIn("ExecStart=/usr/bin/sluice-relay --config /etc/sluice/relay.conf\n", unit)
        self.assertTrue(os.path.exists(self.inside("sluice-relay", "usr/share/man/man8/sluice-relay.8.gz")))
        self.assertFalse(os.path.exists(self.inside("sluice-relay", "DEBIAN/postinst")), "nothing is started")

    def test_unit_differs_only_in_where_options_are(self):
        ours = common.read("deploy/sluice.service").splitlines()
        packed = self.text("sluice-agent", "lib/systemd/system/sluice.service").splitlines()
        self.assertEqual([(old.split("=")[0], new) for old, new in zip(ours, packed) if old != new],
                         [("Documentation", "Documentation=man:sluiced(8)"),
                          ("ExecStart", "ExecStart=/usr/sbin/sluiced --config /etc/sluice/sluiced.conf")])
        self.assertEqual(len(ours), len(packed))

    def test_files(self):
        for package, names in (
                ("sluice-agent", ["usr/share/man/man8/sluiced.8.gz", "etc/sluice/resources"]),
                ("sluice-client", ["usr/share/man/man1/sluice.1.gz", "usr/share/bash-completion/completions/sluice",
                                   "usr/share/zsh/vendor-completions/_sluice",
                                   "usr/share/fish/vendor_completions.d/sluice.fish",
                                   "usr/share/sluice/schema/sluice.json"])):
            for name in names + [f"usr/share/doc/{package}/copyright", f"usr/share/doc/{package}/changelog.gz"]:
                self.assertTrue(os.path.exists(self.inside(package, name)), name)
        for root in self.roots.values():
            subprocess.run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=root, check=True)
        listing = common.run("dpkg-deb", "--contents", self.packages["sluice-agent"])
        self.assertNotRegex(listing, r"(?m)^\S+ (?!root/root)")

    def maintainer_script(self, name, *arguments, fails=()):
        """The calls of a script of sluice-agent, with recorders in the place of other programs."""
        with tempfile.TemporaryDirectory() as directory:
            for program in ("systemctl", "deb-systemd-helper", "deb-systemd-invoke", "sluiced", "rm"):
                file = os.path.join(directory, program)
                with open(file, "w", encoding="utf-8") as opened:
                    opened.write(RECORDER + ("exit 1\n" if program in fails else ""))
                os.chmod(file, stat.S_IRWXU)
            script = self.text("sluice-agent", f"DEBIAN/{name}").replace("/run/systemd/system", directory)
            record = os.path.join(directory, "record")
            environment = {"PATH": f"{directory}:/usr/bin:/bin", "RECORD": record}
            done = subprocess.run(["sh", "-c", script, name, *arguments], env=environment, check=False,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            if not os.path.exists(record):
                return []
            with open(record, encoding="utf-8") as opened:
                return opened.read().splitlines()

    def test_install_starts(self):
        calls = self.maintainer_script("postinst", "configure", "")
        self.assertIn("deb-systemd-helper enable sluice.service", calls)
        self.assertEqual(calls[-1], "deb-systemd-invoke start sluice.service")

    def test_upgrade_restarts_and_does_not_stop(self):
        self.assertEqual(self.maintainer_script("prerm", "upgrade", "0.2.0"), [])
        calls = self.maintainer_script("postinst", "configure", "0.0.9")
        self.assertEqual(calls[-1], "deb-systemd-invoke restart sluice.service")
        # An agent that does not start does not break the upgrade.
        self.maintainer_script("postinst", "configure", "0.0.9", fails=("deb-systemd-invoke", "systemctl"))

    def test_a_disabled_unit_stays_disabled(self):
        calls = self.maintainer_script("postinst", "configure", "0.0.9", fails=("deb-systemd-helper",))
        self.assertNotIn("deb-systemd-helper enable sluice.service", calls)

    def test_remove_detaches(self):
        uninstall = "sluiced --config /etc/sluice/sluiced.conf --uninstall"
        calls = self.maintainer_script("prerm", "remove")
        self.assertEqual(calls, ["deb-systemd-invoke stop sluice.service", uninstall])
        self.assertIn(uninstall, self.maintainer_script("prerm", "remove", fails=("sluiced",)))

    def test_purge_removes_the_state(self):
        self.assertNotIn("rm -rf /var/lib/sluice", self.maintainer_script("postrm", "remove"))
        self.assertIn("rm -rf /var/lib/sluice", self.maintainer_script("postrm", "purge"))


if __name__ == "__main__":
    common.main()
