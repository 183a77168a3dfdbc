"""nginx before several galleries: python -m hosting.proxy 127.0.0.1:7861 127.0.0.1:7862 > nginx.conf

With `--prefix /rnn` the page is at http://…/rnn/; start each gallery with GRADIO_ROOT_PATH=/rnn, and
`nginx -p FOLDER -c nginx.conf` in front of them. Where nginx is on another machine than the galleries,
give them FORWARDED_ALLOW_IPS=ITS_ADDRESS, so that the rate of requests is counted by visitor.
"""

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from demos.limits import LIMITS
from hosting.guard import BODY

FORM = 1  # megabytes of an upload beside its file
ADDRESS = re.compile(r"[\w.\-]+(:\d+)?|\[[\da-f:]+\](:\d+)?")
PREFIX = re.compile(r"(/[\w.\-]+)*")


class Configuration(Template):
    """Text with @names; nginx's own variables begin with a dollar sign."""

    delimiter = "@"


def configuration(replicas: Sequence[str], listen: str = "127.0.0.1:8080", prefix: str = "", log: str = "off") -> str:
    """nginx's configuration; ValueError where an address or the prefix is none."""
    if not replicas or not all(map(ADDRESS.fullmatch, [*replicas, listen])) or not PREFIX.fullmatch(prefix):
        raise ValueError("addresses look like 127.0.0.1:7861, a prefix like /rnn")
    template = Path(__file__).with_name("nginx.conf.template").read_text("utf-8")
    servers = "\n".join(f"        server {replica} max_fails=3 fail_timeout=5s;" for replica in replicas)
    given = {"listen": listen, "prefix": prefix, "log": log, "servers": servers}
    sizes = {"megabytes": LIMITS.megabytes + FORM, "body": math.ceil(BODY / 2**20)}
    return Configuration(template.split("\n\n", 1)[1]).substitute(given | sizes)


def main() -> None:
    """Print the configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("replicas", nargs="+", metavar="HOST:PORT")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="where visitors come (default: %(default)s)")
    parser.add_argument("--prefix", default="", help="the path in front of the page, like /rnn")
    given = parser.parse_args()
    try:
        print(configuration(given.replicas, given.listen, given.prefix))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
