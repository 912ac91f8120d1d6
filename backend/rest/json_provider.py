"""JSON of requests and answers: UTF-8, Korean unescaped."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider


class OrjsonProvider(JSONProvider):
    """JSON of Flask by orjson, which refuses invalid numbers, encodings and surrogates in requests."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        value = orjson.loads(s)
        if value is None:
            raise ValueError("null")  # APIFlask would take null for an empty object
        return value

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json")
