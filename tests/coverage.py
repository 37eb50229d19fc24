#!/usr/bin/python3
"""How much of the library its tests have reached: tests/coverage.py BUILD_FOLDER [missing [FILE...]]

Reads what the processes of a coverage build have counted (BUILD_FOLDER/counts) and prints branches and lines of
lib/ by folder and in all; with `missing`, each branch that was never taken. Exits with 1 below BRANCHES_LEAST.
tests/coverage.md says what the figures mean and which branches are left out."""
import glob
import json
import os
import subprocess
import sys

BRANCHES_LEAST = 90.0  # percent

LINE, COLUMN, END_LINE, END_COLUMN, TRUE_COUNT, FALSE_COUNT = range(6)


def programs(build):
    """Whatever is linked from the library: what the counts are told to belong to."""
    found = glob.glob(build + "/bin/*") + glob.glob(build + "/tests/*/*") + glob.glob(build + "/tests/campaign/*/*")
    return [path for path in found if os.path.isfile(path) and os.access(path, os.X_OK)]


def counted(program):
    headers = subprocess.run(["objdump", "-h", program], capture_output=True, text=True, check=False)
    return "__llvm_covmap" in headers.stdout


def export(build):
    profile = build + "/counts.profdata"
    counts = glob.glob(build + "/counts/*")
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", profile] + counts, check=True)
    objects = []
    for program in filter(counted, programs(build)):
        objects += ["-object", program]
    answer = subprocess.run(["llvm-cov", "export", "-format=text", "-skip-functions", "-instr-profile", profile] + objects,
                            capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)["data"][0]["files"]


def branches_of(file):
    """A condition's two counts, summed where a header's stands in several files."""
    sums = {}
    for branch in file["branches"]:
        place = tuple(branch[:TRUE_COUNT])
        true_count, false_count = sums.get(place, (0, 0))
        sums[place] = (true_count + branch[TRUE_COUNT], false_count + branch[FALSE_COUNT])
    return sums


def condition(source, place):
    text = source[place[LINE] - 1]
    if place[LINE] == place[END_LINE]:
        return text[place[COLUMN] - 1:place[END_COLUMN] - 1]
    return text[place[COLUMN] - 1:] + " ..."


def tell_missing(name, path, sums):
    with open(path, encoding="utf-8") as lines:
        source = lines.read().split("\n")
    for place, (true_count, false_count) in sorted(sums.items()):
        for count, never in ((true_count, "true"), (false_count, "false")):
            if count == 0:
                print(f"{name}:{place[LINE]}: never {never}: {condition(source, place)}")


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main():
    build = sys.argv[1]
    missing = len(sys.argv) > 2 and sys.argv[2] == "missing"
    root = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/..") + "/"
    folders = {}
    lines = [0, 0]
    for file in export(build):
        if not file["filename"].startswith(root + "lib/"):
            continue
        name = file["filename"][len(root):]
        sums = branches_of(file)
        taken = sum((t > 0) + (f > 0) for t, f in sums.values())
        folder = folders.setdefault(name.split("/")[1], [0, 0])
        folder[0] += taken
        folder[1] += 2 * len(sums)
        lines[0] += file["summary"]["lines"]["covered"]
        lines[1] += file["summary"]["lines"]["count"]
        if missing and (len(sys.argv) == 3 or name in sys.argv[3:]):
            tell_missing(name, file["filename"], sums)
    for name in sorted(folders):
        taken, of = folders[name]
        print(f"coverage: lib/{name} branches {percent(taken, of):.1f} % ({taken} of {of})")
    taken = sum(folder[0] for folder in folders.values())
    of = sum(folder[1] for folder in folders.values())
    print(f"coverage: lib branches {percent(taken, of):.1f} % ({taken} of {of}), lines {percent(*lines):.1f} %")
    return 0 if of and percent(taken, of) >= BRANCHES_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
