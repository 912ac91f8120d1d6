"""JSON of requests and answers: UTF-8, Korean unescaped."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

BRACKETS_MAX = 50_000
"""Opening brackets in a body. All texts of an event may have 13,000; 500,000 lists take 0.1 s to make."""


class OrjsonProvider(JSONProvider):
    """JSON of Flask by orjson, which refuses invalid numbers, encodings and surrogates in requests."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        data = s.encode() if isinstance(s, str) else s
        if data.count(b"[") + data.count(b"{") > BRACKETS_MAX:
            raise ValueError("too many lists and objects")
        value = orjson.loads(data)
        if value is None:
            raise ValueError("null")  # APIFlask would take null for an empty object
        return value

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json")
