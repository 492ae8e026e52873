"""A collector of OpenTelemetry: takes OTLP/HTTP with JSON and reads each request into the messages of its protocol, by the classes that OpenTelemetry publishes, strictly."""

import base64
import http.server
import json
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {"/v1/logs": ExportLogsServiceRequest, "/v1/traces": ExportTraceServiceRequest}
IDS = {"traceId": 16, "spanId": 8}


def as_protobuf(value):
    """JSON of OTLP has identifiers in hexadecimal, where JSON of protobuf has base64."""
    if isinstance(value, list):
        return [as_protobuf(each) for each in value]
    if not isinstance(value, dict):
        return value
    read = {}
    for key, each in value.items():
        if key in IDS:
            identifier = bytes.fromhex(each)
            assert len(identifier) == IDS[key] and any(identifier), f"{key}: {each}"
            each = base64.b64encode(identifier).decode()
        read[key] = as_protobuf(each)
    return read


class Collector:
    """Listens on a port, and keeps what it took and what was wrong with it."""

    def __init__(self, port):
        self.logs, self.spans, self.wrong = {}, {}, []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = 200
                try:
                    assert self.headers["content-type"] == "application/json"
                    collector.take(REQUESTS[self.path](), body)
                except Exception as wrong:
                    collector.wrong.append(f"{self.path}: {wrong!r}")
                    status = 400
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request, body):
        json_format.ParseDict(as_protobuf(json.loads(body)), request)
        for resource in getattr(request, "resource_logs", []):
            for log in (log for scope in resource.scope_logs for log in scope.log_records):
                assert log.time_unix_nano and log.observed_time_unix_nano and log.severity_number, log
                assert log.event_name.startswith("countersign.") and log.body.kvlist_value.values, log
                self.logs[self.attributes(log)["countersign.record.seq"].int_value] = log
        for resource in getattr(request, "resource_spans", []):
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano and span.name, span
                self.spans[span.span_id] = span

    @staticmethod
    def attributes(of):
        return {attribute.key: attribute.value for attribute in of.attributes}
