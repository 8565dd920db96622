"""`docker_ask.py METHOD URL BODY [FILE]`, run in a container without a network: the status and the JSON of the answer.

BODY is a JSON object: what is posted, or the fields that go with FILE in a form.
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

method, url, body, *files = sys.argv[1:]
headers, data = {"Content-Type": "application/json"}, body.encode() or None
if files:
    name = Path(files[0]).name
    parts = [(f'name="file"; filename="{name}"', Path(files[0]).read_bytes())]
    parts += [(f'name="{field}"', str(value).encode()) for field, value in json.loads(body).items()]
    data = b"".join(
        f"--frigo\r\nContent-Disposition: form-data; {told}\r\n\r\n".encode() + held + b"\r\n" for told, held in parts
    )
    data += b"--frigo--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=frigo"}
request = urllib.request.Request(url, data, headers, method=method)
try:
    with urllib.request.urlopen(request, timeout=600) as answer:
        print(answer.status, answer.read().decode() or "null")
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode() or "null")
except OSError as error:
    print(0, json.dumps(str(error)))
