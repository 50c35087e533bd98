"""What can happen to a .nii.gz file, for the tests of every command that reads one."""

import gzip
import struct


def truncate(file):
    file.write_bytes(file.read_bytes()[:-20])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-6] ^= 1  # in the checksum
    file.write_bytes(content)


def declare_a_giant(file):
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<3h", content, 42, 30000, 30000, 30000)
    file.write_bytes(gzip.compress(content))
