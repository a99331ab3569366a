"""The description is true: routes, statuses and answers are what it says."""

import json
from importlib import resources

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from serving import form, noise, picture

from svertka.serve.routes import ENDPOINTS, openapi

DESCRIPTION = json.loads(openapi())
UNFIT = [positive_data_acceptance]  # of random bytes few are an image, and a description can't say which
schema = schemathesis.openapi.from_dict(DESCRIPTION)


def test_it_is_the_file():
    assert resources.files("svertka.serve").joinpath("openapi.json").read_bytes() == openapi()


def test_it_names_every_route_with_its_method_and_no_other():
    described = {(path, method.upper()) for path, item in DESCRIPTION["paths"].items() for method in item}
    assert described == {(path, method) for path, (_, method) in ENDPOINTS.items()}


def test_it_is_served(server):
    answer = server.ask("GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == DESCRIPTION


@schema.parametrize()
@settings(
    max_examples=8, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)
def test_whatever_is_sent_the_answer_is_one_that_is_described(case, server):
    case.call_and_validate(base_url=f"http://127.0.0.1:{server.port}", excluded_checks=UNFIT)


@pytest.mark.parametrize("query", ["?model=tiny", "?model=conv"])
def test_real_answers_are_as_described(server, query):
    operation = schema["/v1/predict"]["POST"]
    body, headers = form([("a.png", picture()), ("b.png", b"none")])
    for content, more in ((noise(), {}), (body, headers), (b"", {})):
        validate(operation, server, "/v1/predict" + query, content, more)
    validate(schema["/v1/explain"]["POST"], server, "/v1/explain" + query, noise(), {})
    validate(schema["/v1/model"]["GET"], server, "/v1/model" + query, None, {})
    validate(schema["/v1/models"]["GET"], server, "/v1/models", None, {})


def validate(operation, server, path, content, headers):
    import requests

    method = operation.method.upper()
    response = requests.request(
        method, f"http://127.0.0.1:{server.port}{path}", data=content, headers=headers, timeout=10
    )
    operation.validate_response(response)
