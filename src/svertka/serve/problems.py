"""Errors as RFC 9457 has them: ``application/problem+json``, in the language that the client prefers."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from svertka.messages import LANGUAGES, Translator
from svertka.serve.accept_header import weighted

PROBLEM = "application/problem+json"


class Problem(Exception):
    """Ends a request with an error.

    Attributes:
        status: of HTTP.
        code: of the kind of problem: its type is ``urn:svertka:CODE``, its texts stand in the catalogue.
        values: for the placeholders of its detail.
        members: further members of the answer.
        headers: further headers of the answer; of several lines a tuple.
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str | tuple[str, ...]] | None = None,
        **values: object,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.values = values
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class Disconnected(Exception):
    """The client has gone: there is nobody to answer."""


def busy(seconds: int = 1) -> Problem:
    """More is asked for than can be held; the client may try again."""
    return Problem(503, "busy", headers={"Retry-After": str(seconds)}, seconds=seconds)


def problem_body(problem: Problem, language: str) -> bytes:
    """The answer's JSON."""
    translate = Translator(language)
    key = problem.code.replace("-", "_")
    content = {
        "type": f"urn:svertka:{problem.code}",
        "title": translate(f"problem.{key}.title"),
        "status": problem.status,
        "detail": translate(f"problem.{key}.detail", **problem.values),
        **problem.members,
    }
    return json.dumps(content, ensure_ascii=False).encode()


def problem_response(problem: Problem, language: str) -> Response:
    """The answer."""
    headers = {"Content-Language": language, "Vary": "Accept-Language"}
    response = Response(problem_body(problem, language), problem.status, headers, media_type=PROBLEM)
    for name, lines in problem.headers.items():
        for line in (lines,) if isinstance(lines, str) else lines:
            response.headers.append(name, line)
    return response


def preferred_language(accepted: str) -> str:
    """The language of ours that an ``Accept-Language`` (RFC 9110, 12.5.4) likes best; English where it names none."""
    best, weight = LANGUAGES[0], 0.0
    for tag, wanted in weighted(accepted):
        language = tag.partition("-")[0]
        if language in LANGUAGES and wanted > weight:
            best, weight = language, wanted
    return best
