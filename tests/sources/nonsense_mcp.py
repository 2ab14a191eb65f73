"""A stand-in for mcp-grafana that misbehaves: it runs the real one and changes what passes, or writes what is no MCP.

HOW is one of `talk` (no MCP at all), `later` (none from the first query on), `renamed` (a tool has another name),
`schema` (a tool takes other arguments), `writes` (a tool no longer says that it only reads), `huge` (the answers of
queries have a megabyte more), `silent` (never answers a query). REAL is mcp-grafana.
"""

import json
import os
import subprocess
import sys
import threading


def main() -> None:
    how, real = os.environ["HOW"], os.environ["REAL"]
    if how == "talk":
        print("Welcome to Grafana! Please log in.", flush=True)
    child = subprocess.Popen([real, *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    asked: dict[int, str] = {}

    def forward() -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message.get("method") == "tools/call":
                asked[message["id"]] = message["params"]["name"]
                if how == "silent" and asked[message["id"]] == "query_prometheus":
                    continue
            child.stdin.write(line)
            child.stdin.flush()
        child.stdin.close()

    threading.Thread(target=forward, daemon=True).start()
    for line in child.stdout:
        message = json.loads(line)
        query = asked.get(message.get("id")) == "query_prometheus"
        sys.stdout.buffer.write(changed(how, message, query=query) or line)
        sys.stdout.buffer.flush()
    child.wait()


def changed(how: str, message: dict, *, query: bool) -> bytes | None:
    """What is written in the place of a message, None for the message itself."""
    if how == "later" and query:
        return b"<html>502 Bad Gateway</html>\n"
    if how == "huge" and query:
        message["result"]["content"][0]["text"] += " " * 1_000_000
        return json.dumps(message).encode() + b"\n"
    tools = message.get("result", {}).get("tools", [])
    for tool in tools:
        if tool["name"] == "query_prometheus":
            if how == "renamed":
                tool["name"] = "prometheus_query"
            elif how == "schema":
                tool["inputSchema"]["properties"]["step"] = tool["inputSchema"]["properties"].pop("stepSeconds")
            elif how == "writes":
                tool["annotations"]["readOnlyHint"] = False
    return json.dumps(message).encode() + b"\n" if tools else None


if __name__ == "__main__":
    main()
