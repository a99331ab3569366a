"""Each limit holds, is told clearly, and leaves the server as it was."""

import http.client
import io
import socket
import threading
import time

import pytest
from PIL import Image
from serving import OWN, ask, exchange, form, head, noise, picture, read, read_all, running

from svertka.serve.limits import Limits

MB = 1_000_000


@pytest.fixture(scope="module")
def small(conv_bundle):
    """A server whose limits are reached quickly."""
    limits = Limits(
        body_bytes=MB // 10,
        body_seconds=0.6,
        pixels=90_000,
        images=3,
        idle_seconds=0.5,
        connections=8,
        grace_seconds=0.0,
        linger_seconds=1.0,
    )
    with running({"conv": conv_bundle}, limits=limits) as found:
        yield found


def works(server) -> bool:
    return server.predict(noise(32)).status == 200


def test_an_announced_body_that_is_too_large_is_refused_before_it_comes(small):
    with socket.create_connection((OWN, small.port), timeout=5) as stream:
        stream.sendall(head("/v1/predict", f"Content-Length: {100 * MB}", "Expect: 100-continue"))
        answer = read_all(stream)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer
    assert works(small)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_100_MB_is_refused_and_its_client_reads_why(small, announced):
    part = bytes(MB)
    connection = http.client.HTTPConnection(OWN, small.port, timeout=10)
    began = time.monotonic()
    try:
        if announced:
            connection.putrequest("POST", "/v1/predict")
            connection.putheader("Content-Length", str(100 * MB))
            connection.endheaders()
            for _ in range(100):
                connection.send(part)
        else:
            connection.request("POST", "/v1/predict", iter([part] * 100), encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server has said its word and doesn't wait for ever
    answer = read(connection)
    connection.close()
    assert (answer.status, answer.problem) == (413, "too-large")
    assert "0.1 MB" in answer.json["detail"] and answer.json["most_bytes"] == MB // 10
    assert time.monotonic() - began < 5
    assert small.service.held.taken == 0
    assert works(small)


def test_a_body_just_within_the_limit_is_read(small):
    content = noise(32)
    padded = content + bytes(MB // 10 - len(content))
    assert small.predict(padded).status == 200
    assert small.predict(padded + b"\0").status == 413


def test_a_form_cannot_bring_more(small):
    body, headers = form([("large.png", bytes(MB // 10))])
    assert small.ask("POST", "/v1/predict", body, headers).status == 413
    body, headers = form([("a.png", picture())] * 4)
    answer = small.ask("POST", "/v1/predict", body, headers)
    assert (answer.status, answer.problem) == (413, "too-many-images")
    body, headers = form([("a.png", picture())] * 3)
    assert len(small.ask("POST", "/v1/predict", body, headers).json["predictions"]) == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary="),
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nno end", "multipart/form-data; boundary=x"),
        (b"--x\r\n" + b"A: b\r\n" * 1000 + b"\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\nA: " + b"b" * 50_000, "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=" + "x" * 5000),
    ],
)
def test_what_is_no_form_is_told_so(small, body, kind):
    answer = small.ask("POST", "/v1/predict", body, {"Content-Type": kind})
    assert (answer.status, answer.problem) == (400, "bad-form")
    assert small.service.held.taken == 0


def test_pixels_are_counted_by_the_header(small):
    assert small.predict(picture(size=(300, 300))).status == 200
    answer = small.predict(picture(size=(301, 300)))
    assert (answer.status, answer.json["reason"]) == (422, "too_large")
    assert (answer.json["pixels"], answer.json["most_pixels"]) == (90_300, 90_000)
    assert "301 × 300 = 0.1 megapixels by its header; at most 0.09 are allowed." in answer.json["detail"]


def test_in_russian_the_numbers_are_said_too(conv_bundle):
    body, headers = form([("a.png", picture(size=(2000, 1500)))])
    with running({"conv": conv_bundle}, limits=Limits(pixels=2_500_000, grace_seconds=0.0)) as found:
        answer = found.ask("POST", "/v1/predict", body, headers | {"Accept-Language": "ru"})
    assert answer.json["predictions"][0]["error"] == {
        "reason": "too_large",
        "detail": "слишком много пикселей. В изображении 3,0 Мп, а читается не больше 2,5 Мп. Уменьшите его",
        "pixels": 3_000_000,
        "most_pixels": 2_500_000,
    }


@pytest.mark.parametrize("announced", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_slow_body_ends_with_408(small, announced):
    began = time.monotonic()
    with socket.create_connection((OWN, small.port), timeout=5) as stream:
        stream.sendall(head("/v1/predict", announced))
        stream.sendall(b"1\r\nx\r\n" if "chunked" in announced else b"x")
        answer = read_all(stream)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert 0.5 < time.monotonic() - began < 3
    assert small.service.held.taken == 0


@pytest.mark.parametrize("sent", [b"", b"POST /v1/pre", head()[:-2]])
def test_a_connection_without_a_whole_request_is_closed(small, sent):
    began = time.monotonic()
    assert exchange(small.port, sent, timeout=5) == b""
    assert 0.3 < time.monotonic() - began < 3


def test_half_a_head_gets_no_more_time_by_dripping(small):
    began = time.monotonic()
    with socket.create_connection((OWN, small.port), timeout=5) as stream, pytest.raises(OSError):
        for letter in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100:
            stream.sendall(bytes([letter]))
            time.sleep(0.05)
    assert time.monotonic() - began < 3


def test_a_kept_connection_is_closed_when_it_idles(small):
    with socket.create_connection((OWN, small.port), timeout=5) as stream:
        stream.sendall(head("/healthz", method="GET"))
        assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert read_all(stream).endswith(b"") and stream.recv(1) == b""


@pytest.mark.parametrize(
    "content",
    [
        head("/healthz", "X: " + "y" * 20_000, method="GET"),
        head("/" + "y" * 20_000, method="GET"),
        head("/healthz", *(f"X{number}: y" for number in range(3000)), method="GET"),
    ],
)
def test_a_head_that_is_too_large_is_refused(small, content):
    answer = exchange(small.port, content)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:svertka:large-head" in answer


@pytest.mark.parametrize(
    "content",
    [b"nonsense\r\n\r\n", b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/1.1\r\n\r\n",
     b"GET /\xff HTTP/1.1\r\n\r\n", head("/v1/predict", "Content-Length: -1"),
     head("/v1/predict", "Content-Length: 1", "Content-Length: 2"),
     head("/v1/predict", "Transfer-Encoding: gzip"), head("/v1/predict", "Bad header")],
)  # fmt: skip
def test_what_is_no_http_is_refused(small, content):
    answer = exchange(small.port, content)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert works(small)


def test_a_chunk_that_is_none_ends_the_request(small):
    answer = exchange(small.port, head("/v1/predict", "Transfer-Encoding: chunked") + b"nonsense\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert small.service.held.taken == 0
    assert works(small)


def test_idle_connections_give_way_to_new_ones(small):
    idle = [socket.create_connection((OWN, small.port), timeout=5) for _ in range(40)]
    try:
        began = time.monotonic()
        assert works(small)
        assert time.monotonic() - began < 0.5
        assert len(small.service.connections) <= 8
    finally:
        for each in idle:
            each.close()


def test_where_no_connection_idles_a_new_one_is_refused(small):
    busy = [socket.create_connection((OWN, small.port), timeout=5) for _ in range(8)]
    try:
        for stream in busy:
            stream.sendall(head("/v1/predict", "Content-Length: 10") + b"x")
        time.sleep(0.1)
        answer = small.predict(picture())
        assert (answer.status, answer.problem, answer.headers["retry-after"]) == (503, "busy", "1")
        assert answer.headers["connection"] == "close"
        empty = small.ask("GET", "/healthz")  # without a body too: kept, it would be refused for ever
        assert (empty.status, empty.headers.get("connection")) == (503, "close")
    finally:
        for stream in busy:
            stream.close()
    time.sleep(0.1)
    assert works(small)


def test_a_body_of_two_lengths_is_refused_and_its_connection_ends(small):
    content = head("/v1/predict", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    answer = exchange(small.port, content + head("/healthz", method="GET"), timeout=5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_client_that_goes_away_leaves_nothing_behind(small):
    for _ in range(5):
        with socket.create_connection((OWN, small.port), timeout=5) as stream:
            stream.sendall(head("/v1/predict", "Content-Length: 90000") + bytes(40_000))
    time.sleep(0.2)
    assert small.service.held.taken == 0
    assert works(small)
    assert 'svertka_requests_total{route="/v1/predict",status="499"}' in small.ask("GET", "/metrics").body.decode()


def test_a_client_that_does_not_read_is_left(conv_bundle):
    limits = Limits(stalled_seconds=1.0, grace_seconds=0.0)
    with running({"conv": conv_bundle}, limits=limits) as found:
        with socket.create_connection((OWN, found.port), timeout=10) as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.settimeout(0.5)
            with pytest.raises(OSError):  # requests without end, of which no answer is read
                while True:
                    stream.sendall(head("/", method="GET") * 50)
            until = time.monotonic() + 8
            while found.service.connections and time.monotonic() < until:
                time.sleep(0.1)
            assert not found.service.connections


def test_a_client_that_does_not_take_the_end_is_left(conv_bundle):
    limits = Limits(stalled_seconds=1.0, grace_seconds=0.0)
    with running({"conv": conv_bundle}, limits=limits) as found, socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stream.connect((OWN, found.port))
        stream.settimeout(5)
        held = 0
        while not held:  # until a little of an answer stays with the server, too little for it to stop writing
            stream.sendall(head("/openapi.json", method="GET"))
            time.sleep(0.003)
            held = sum(one.transport.get_write_buffer_size() for one in found.service.connections)
        stream.sendall(head("/v1/predict", "Transfer-Encoding: chunked") + b"no chunk\r\n")
        until = time.monotonic() + 8
        while found.service.connections and time.monotonic() < until:
            time.sleep(0.1)
        assert not found.service.connections


def test_more_than_can_be_computed_is_refused_at_once(conv_bundle):
    limits = Limits(in_flight=2, grace_seconds=0.0)
    with running({"conv": conv_bundle}, limits=limits, threads=1) as found:
        release = threading.Event()
        found.service._pool.submit(release.wait, 10)
        waiting = [threading.Thread(target=found.predict, args=(picture(),)) for _ in range(2)]
        for each in waiting:
            each.start()
        while found.service.in_flight < 2:
            time.sleep(0.01)
        began = time.monotonic()
        answer = found.predict(picture())
        assert time.monotonic() - began < 1
        assert (answer.status, answer.problem, answer.headers["retry-after"]) == (503, "busy", "1")
        assert ask(found.port, "GET", "/healthz").status == 200
        release.set()
        for each in waiting:
            each.join(10)
        assert works(found)


def test_16_photographs_of_a_phone_fit_at_once(conv_bundle):
    photograph = noise(64) + bytes(3 * MB - 20_000)
    with running({"conv": conv_bundle}, limits=Limits(grace_seconds=0.0)) as found:
        others = [socket.create_connection((OWN, found.port), timeout=5) for _ in range(15)]
        for stream in others:
            stream.sendall(head("/v1/predict", f"Content-Length: {len(photograph)}") + photograph[:-1])
        while found.service.held.taken < 15 * (len(photograph) - 1):
            time.sleep(0.02)
        assert found.predict(photograph).status == 200
        for stream in others:
            stream.sendall(photograph[-1:])
        assert {stream.recv(12) for stream in others} == {b"HTTP/1.1 200"}
        for stream in others:
            stream.close()


def test_all_bodies_together_have_a_limit(conv_bundle):
    limits = Limits(body_bytes=30 * MB, body_seconds=5, grace_seconds=0.0)
    assert limits.held_bytes == 60 * MB
    with running({"conv": conv_bundle}, limits=limits) as found:
        held = [socket.create_connection((OWN, found.port), timeout=5) for _ in range(2)]
        for stream in held:
            stream.sendall(head("/v1/predict", f"Content-Length: {30 * MB}") + bytes(29_900_000))
        while found.service.held.taken < 59 * MB:
            time.sleep(0.02)
        answer = found.predict(bytes(MB))
        assert (answer.status, answer.problem) == (503, "busy")
        for stream in held:
            stream.close()
        while found.service.held.taken:
            time.sleep(0.02)
        assert works(found)


def test_large_images_wait_for_each_other_and_small_ones_do_not_wait_for_them(conv_bundle):
    limits = Limits(pixels=10_000, large_in_flight=2, grace_seconds=0.0)
    large, small = noise(100), noise(70)
    with running({"conv": conv_bundle}, limits=limits, threads=1) as found:
        release = threading.Event()
        found.service._large_pool.submit(release.wait, 10)
        answers: list[int] = []
        waiting = [threading.Thread(target=lambda: answers.append(found.predict(large).status)) for _ in range(2)]
        for each in waiting:
            each.start()
        while found.service._large < 2:
            time.sleep(0.01)
        refused = found.predict(large)
        assert (refused.status, refused.problem) == (503, "busy")
        assert found.predict(small).status == 200
        release.set()
        for each in waiting:
            each.join(10)
        assert answers == [200, 200]
        assert found.predict(large).status == 200


def test_what_takes_much_memory_has_a_lower_limit(conv_bundle):
    stream = io.BytesIO()
    Image.new("RGBA", (100, 100)).save(stream, "PNG")
    with running({"conv": conv_bundle}, limits=Limits(decoding_bytes=50_000, grace_seconds=0.0)) as found:
        assert found.predict(picture(size=(100, 100))).status == 200
        answer = found.predict(stream.getvalue())
        assert (answer.status, answer.json["reason"]) == (422, "too_large")
        assert "takes much memory" in answer.json["detail"]


def test_the_images_of_a_form_have_a_limit_together(conv_bundle):
    with running({"conv": conv_bundle}, limits=Limits(pixels=10_000, grace_seconds=0.0)) as found:
        for number, status in ((4, 200), (5, 413)):
            body, headers = form([("a.png", picture(size=(100, 100)))] * number)
            answer = found.ask("POST", "/v1/predict", body, headers)
            assert answer.status == status
        assert answer.problem == "too-many-pixels"
