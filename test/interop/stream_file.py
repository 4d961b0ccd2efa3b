"""Seals or opens a file with Tink: stream_file.py seal|open <keyset> <associated data, hex> <from> <to>."""

import sys

import tink
from tink import secret_key_access, streaming_aead

BLOCK = 1 << 20


def main(action, keyset, associated_data, source, target):
    streaming_aead.register()
    with open(keyset) as f:
        handle = tink.json_proto_keyset_format.parse(f.read(), secret_key_access.TOKEN)
    primitive = handle.primitive(streaming_aead.StreamingAead)
    data = bytes.fromhex(associated_data)
    with open(source, "rb") as reading, open(target, "wb") as writing:
        if action == "seal":
            with primitive.new_encrypting_stream(writing, data) as sealing:
                while block := reading.read(BLOCK):
                    sealing.write(block)
        else:
            with primitive.new_decrypting_stream(reading, data) as opening:
                while block := opening.read(BLOCK):
                    writing.write(block)


main(*sys.argv[1:])
