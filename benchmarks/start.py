"""Time what a user waits for before anything happens: `import parsenet` and `parsenet --help`.

Prints the best of seven runs of each, in seconds, and exits with 1 when one is over the limit of
0.5 s. A bare interpreter is timed beside them, as their lower bound.

Run: python benchmarks/start.py
"""

import subprocess
import sys
import time

LIMIT = 0.5
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import parsenet": ["-c", "import parsenet"],
    "parsenet --help": ["-m", "parsenet", "--help"],
}


def best_seconds(arguments: list[str], num_runs: int = 7) -> float:
    """Run Python with `arguments` several times and return the shortest wall time in seconds."""
    seconds = []
    for _ in range(num_runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> int:
    """Print the table and return the exit code."""
    slowest = 0.0
    print("| what | seconds | limit |\n|---|---|---|")
    for name, arguments in COMMANDS.items():
        seconds = best_seconds(arguments)
        slowest = max(slowest, seconds)
        print(f"| `{name}` | {seconds:.2f} | {LIMIT} |")
    return int(slowest > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
