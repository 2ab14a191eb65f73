"""`make bench`: every benchmark, one after the other; `make bench ARGS=detect` one of them."""

import argparse
import importlib

ALL = ("detect", "auto", "backtest", "quality", "young", "decode", "store", "pipe", "mcp", "idle")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*ALL, []], help="which (default: all)")
    for name in parser.parse_args().only or ALL:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.bench_{name}").main([])


if __name__ == "__main__":
    main()
