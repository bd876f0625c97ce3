"""Knock at ports as somebody without any key. Standard library only: another user's Python runs it.

Reads ``{"http": [[port, method, path, headers, body]], "grpc": [port], "postgres": [port]}`` from
standard input and prints what each answered, in the same shape.
"""

import http.client
import json
import os
import socket
import ssl
import struct
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4


def speak_http(port, method, path, headers, body):
    """Status, and whom a browser would let read the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Access-Control-Allow-Origin")
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, None
    finally:
        connection.close()


def speak_grpc(port):
    """How the port answers HTTP/2 without TLS, and with TLS but without a certificate."""
    heard = []
    for secure in (False, True):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            if secure:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_alpn_protocols(["h2"])
                connection = context.wrap_socket(connection)
            with connection:
                connection.sendall(PREFACE)
                answer = connection.recv(9)
            is_http2 = len(answer) == 9 and answer[3] == SETTINGS
            heard.append("answers" if is_http2 else "refuses")
        except OSError:
            heard.append("refuses")
    return heard


def speak_postgres(port):
    """The authentication that it asks for: 10 is a password by SCRAM; an error is ``E``."""
    parameters = b"user\0bank\0database\0banking_data\0\0"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(struct.pack(">ii", 8 + len(parameters), 196608) + parameters)
        answer = connection.recv(9)
    return "E" if answer[:1] == b"E" else struct.unpack(">i", answer[5:9])[0]


def main():
    """Knock everywhere."""
    asked = json.load(sys.stdin)
    answers = {
        "user": os.getuid(),
        "http": [speak_http(*request) for request in asked["http"]],
        "grpc": [speak_grpc(port) for port in asked["grpc"]],
        "postgres": [speak_postgres(port) for port in asked["postgres"]],
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
