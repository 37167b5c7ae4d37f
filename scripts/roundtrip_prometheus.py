#!/usr/bin/env python3
"""Round trip through a real Prometheus and a real VictoriaMetrics on loopback.

    python3 scripts/roundtrip_prometheus.py target/debug/prestage

A simulated world streams its telemetry by remote write, `prestage import prometheus` reads it back as a
history, every sample is compared with the telemetry stream on disk, and the history is replayed. The servers
are taken from PATH, or from Debian's packages, unpacked in a temporary folder without being installed. Where
neither is to be had the script says so and exits with 0.
"""
import csv
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

METRIC = "requests_per_second"
WORLD = ["simulate", "calm-weekly", "--set", "days=3", "--set", "services.count=2"]
# VictoriaMetrics stores decimal numbers: a value comes back within 1e-12 of itself.
DIGITS = {"prometheus": 0.0, "victoria-metrics": 2e-12}


def programs(folder):
    """Paths of both servers, or the reason why there are none."""
    names = list(DIGITS)
    found = {name: shutil.which(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            return None, f"{', '.join(missing)} is not in PATH and there is no apt-get"
        fetched = subprocess.run(["apt-get", "download", *missing], cwd=folder, capture_output=True, text=True)
        if fetched.returncode != 0:
            return None, f"apt-get download {' '.join(missing)}: {fetched.stderr.strip()[-200:]}"
        for package in os.listdir(folder):
            if package.endswith(".deb"):
                subprocess.run(["dpkg", "-x", package, "root"], cwd=folder, check=True)
        for name in missing:
            found[name] = os.path.join(folder, "root", "usr", "bin", name)
    return found, None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(name, program, folder):
    port = free_port()
    data = os.path.join(folder, name)
    if name == "prometheus":
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as file:
            file.write("global: {}\n")
        arguments = [program, f"--config.file={config}", f"--storage.tsdb.path={data}",
                     "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver",
                     f"--web.listen-address=127.0.0.1:{port}"]
    else:
        arguments = [program, f"-storageDataPath={data}", "-retentionPeriod=100y", "-search.latencyOffset=0s",
                     "-search.disableCache", f"-httpListenAddr=127.0.0.1:{port}"]
    log = open(os.path.join(folder, f"{name}.log"), "w")
    server = subprocess.Popen(arguments, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    ready = "/-/ready" if name == "prometheus" else "/health"
    for _ in range(300):
        try:
            urllib.request.urlopen(url + ready, timeout=1)
            return server, url
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    server.kill()
    raise SystemExit(f"{name} did not start: {open(log.name).read()[-500:]}")


def stream(path):
    """Samples of the metric: (service, second) to value."""
    with open(path, newline="") as file:
        return {(row["service"], float(row["time_s"])): float(row["value"])
                for row in csv.DictReader(file) if row["metric"] == METRIC}


def traffic(directory):
    with open(os.path.join(directory, "traffic.csv"), newline="") as file:
        return {(row["service"], float(row["epoch"])): float(row["value"]) for row in csv.DictReader(file)}


def round_trip(prestage, name, program, folder):
    server, url = start(name, program, folder)
    try:
        written = "/api/v1/write"
        out = os.path.join(folder, f"{name}.csv")
        run = subprocess.run([prestage, *WORLD, "--telemetry", out, "--remote-write", url + written],
                             capture_output=True, text=True)
        line = [line for line in run.stderr.splitlines() if line.startswith("remote write")]
        print(f"{name}: {line[0] if line else run.stderr}")
        if run.returncode != 0 or ", 0 refused" not in line[0]:
            return False
        if name == "victoria-metrics":
            urllib.request.urlopen(url + "/internal/force_flush", timeout=30)
        expected = stream(out)
        times = [second for _, second in expected]
        back = os.path.join(folder, f"{name}-history")
        subprocess.run([prestage, "import", "prometheus", url, "--query", METRIC, "--step", "60s", "--from",
                        str(int(min(times))), "--to", str(int(max(times))), "--out", back], check=True,
                       stdout=subprocess.DEVNULL)
        found = traffic(back)
        differ = [key for key, value in expected.items()
                  if key not in found or abs(found[key] - value) > DIGITS[name] * abs(value)]
        worst = max((abs(found[key] - value) / abs(value) for key, value in expected.items()
                     if key in found and value != 0), default=0.0)
        lost = sum(key not in found for key in expected)
        exact = sum(found.get(key) == value for key, value in expected.items())
        # A minute without a sample is filled from the one before, as the servers do for five minutes.
        filled = len([key for key in found if key not in expected])
        print(f"{name}: {len(expected)} samples of {METRIC}, {exact} to the last bit, {lost} lost, {len(differ)} lost or "
              f"different by more than {DIGITS[name]:g} of themselves (at most {worst:.2g}), {filled} filled in by the server")
        replayed = subprocess.run([prestage, "replay", back, "--format", "csv"], capture_output=True, text=True)
        print(f"{name}: replay of the history exits with {replayed.returncode}")
        return not differ and replayed.returncode == 0
    finally:
        server.terminate()
        server.wait()


def main():
    prestage = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        found, reason = programs(folder)
        if found is None:
            print(f"skipped: the round trip through Prometheus and VictoriaMetrics, because {reason}")
            return
        outcomes = [round_trip(prestage, name, program, folder) for name, program in found.items()]
    sys.exit(not all(outcomes))


if __name__ == "__main__":
    main()
