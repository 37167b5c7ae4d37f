#!/usr/bin/env python3
"""Makes a git repository of many commits, for measuring `prestage import git`: merges, empty commits, names in
several alphabets, tags, and a Cargo.lock of 300 packages that every tenth commit changes.

    python3 scripts/make_repository.py /tmp/many.git 18000
    time prestage import git /tmp/many.git --out /tmp/many
"""
import subprocess
import sys

PACKAGES = 300
START = 1_500_000_000
WORDS = ["feat: neu", "fix(api): 修复", "docs: описание", "chore: ✓", "refactor: größer", "plain subject"]


def lock(versions):
    text = 'version = 4\n\n[[package]]\nname = "app"\nversion = "0.1.0"\ndependencies = [\n "crate-000",\n]\n'
    for number, version in enumerate(versions):
        text += (f'\n[[package]]\nname = "crate-{number:03}"\nversion = "1.0.{version}"\n'
                 'source = "registry+https://example.org/index"\nchecksum = "' + "0" * 64 + '"\n')
    return text.encode()


def main():
    path, commits = sys.argv[1], int(sys.argv[2])
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", path], check=True)
    git = subprocess.Popen(["git", "-C", path, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    versions = [0] * PACKAGES

    def write(data):
        git.stdin.write(data if isinstance(data, bytes) else data.encode())

    def commit(number, branch, extra="", files=()):
        author = f"Ентwickler {number % 37} <dev{number % 37}@example.org> {START + number * 600} +0200"
        subject = f"{WORDS[number % len(WORDS)]} {number}".encode()
        write(f"commit refs/heads/{branch}\nmark :{number + 1}\nauthor {author}\ncommitter {author}\n"
              f"data {len(subject)}\n")
        write(subject + b"\n" + extra.encode())
        for name, content in files:
            write(f'M 100644 inline "{name}"\ndata {len(content)}\n')
            write(content + b"\n")
        write("\n")

    side = None
    for number in range(commits):
        files = [(f"src/m{number % 200}/f{number % 50}.rs", f"{number}\n".encode() * 20)]
        if number % 10 == 0:
            versions[(number // 10) % PACKAGES] += 1
            files.append(("Cargo.lock", lock(versions)))
        if number % 25 == 7:
            side = number
            commit(number, "side", f"from :{number}\n" if number else "", files)
        elif number % 25 == 9 and side is not None:
            commit(number, "main", f"merge :{side + 1}\n", files)
        else:
            commit(number, "main", "", [] if number % 40 == 3 else files)
        if number % 300 == 299:
            write(f"reset refs/tags/v{number // 3000}.{number // 300}.0\nfrom :{number + 1}\n\n")
    git.stdin.close()
    sys.exit(git.wait())


if __name__ == "__main__":
    main()
