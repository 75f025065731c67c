"""The main job of dmcached, done once by a client that shares no code with it.

Starts the real daemon on a unix socket in a temporary folder, generates stubs from our protos with the system's protoc,
and as an orchestration agent would: creates a cache, reserves cache blocks, inserts mappings, marks one dirty, meets
some refusals, sets a discard, saves hints, streams batches, commits, lists, closes, opens again, and reads the same.
Run by ctest; needs Debian's python3-grpcio and python3-protobuf.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

import grpc

BLOCK_SECTORS = 128  # 64 KiB.
CACHE_BLOCKS = 1024
TIMEOUT_S = 60


def generate_stubs(arguments, folder):
    """Writes dmcached/v1/*_pb2.py and *_pb2_grpc.py below `folder` and makes them importable."""
    protos = sorted(str(p.relative_to(arguments.protos)) for p in arguments.protos.glob("dmcached/v1/*.proto"))
    subprocess.run(
        [
            arguments.protoc,
            f"--proto_path={arguments.protos}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            f"--plugin=protoc-gen-grpc_python={arguments.plugin}",
            *protos,
        ],
        check=True,
    )
    sys.path.insert(0, str(folder))


def start_daemon(binary, folder):
    """Returns the process once it serves: it says so in one line."""
    daemon = subprocess.Popen(
        [binary, "--listen", f"unix:{folder}/dmcached.sock"], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    line = daemon.stdout.readline()
    if str(folder) not in line:
        daemon.kill()
        raise AssertionError(f"the daemon said {line!r} instead of where it listens; exit code {daemon.wait()}")
    return daemon


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


class Agent:
    """Calls both services, with a request id and the incarnation last seen on every mutation."""

    def __init__(self, channel):
        # Generated just now, hence the late imports.
        from dmcached.v1 import cache_service_pb2, cache_service_pb2_grpc, common_pb2, error_details_pb2
        from dmcached.v1 import metadata_service_pb2, metadata_service_pb2_grpc

        self.messages = metadata_service_pb2
        self.cache_messages = cache_service_pb2
        self.common = common_pb2
        self.details = error_details_pb2
        self.cache = cache_service_pb2_grpc.CacheServiceStub(channel)
        self.metadata = metadata_service_pb2_grpc.MetadataServiceStub(channel)
        self.incarnation = 0

    def options(self, **more):
        return self.common.MutationOptions(request_id=str(uuid.uuid4()), incarnation=self.incarnation, **more)

    def refused(self, call, request, code, reason):
        """Expects the refusal `code` with `reason` in the ErrorInfo of the standard trailer."""
        try:
            call(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            expect(error.code(), code, f"code of the refusal ({error.details()})")
            trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
            status = self.details.ErrorStatus.FromString(trailer)
            info = self.details.ErrorInfo()
            expect(status.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo", "type of the detail")
            info.ParseFromString(status.details[0].value)
            expect((info.domain, info.reason), ("dmcached", reason), "domain and reason")
            return
        raise AssertionError(f"{reason} was expected, but the call succeeded")

    def mappings(self, **filters):
        request = self.messages.ListMappingsRequest(cache="job", **filters)
        found = []
        for answer in self.metadata.ListMappings(request, timeout=TIMEOUT_S):
            hints = answer.hints or [None] * len(answer.cblocks)
            found += zip(answer.cblocks, answer.oblocks, answer.dirty, hints)
        return found

    def discards(self):
        request = self.messages.ListDiscardsRequest(cache="job")
        return [
            pair
            for answer in self.metadata.ListDiscards(request, timeout=TIMEOUT_S)
            for pair in zip(answer.begins, answer.ends)
        ]


def make_mappings(agent):
    """Reserve, insert, mark dirty.  Returns the cblocks."""
    m = agent.messages
    reserved = agent.metadata.ReserveCblocks(m.ReserveCblocksRequest(cache="job", count=4), timeout=TIMEOUT_S)
    cblocks = list(reserved.cblocks)
    expect(len(set(cblocks)), 4, "different cblocks reserved")
    expect(reserved.incarnation, agent.incarnation, "incarnation of the reservation")

    insert = m.InsertMappingsRequest(
        cache="job",
        cblocks=cblocks,
        oblocks=[500, 7, 16383, 8],
        reservation=reserved.reservation,
        options=agent.options(),
    )
    first = agent.metadata.InsertMappings(insert, timeout=TIMEOUT_S)
    again = agent.metadata.InsertMappings(insert, timeout=TIMEOUT_S)
    expect(again.result.revision, first.result.revision, "revision of a repeat with the same request id")

    marked = agent.metadata.MarkDirty(
        m.MarkDirtyRequest(cache="job", cblocks=cblocks[1:3], options=agent.options()), timeout=TIMEOUT_S
    )
    if marked.result.durable_transaction < marked.result.transaction:
        raise AssertionError("a dirty mark was acknowledged before it was durable")
    return cblocks


def meet_refusals(agent, cblocks):
    m = agent.messages
    agent.refused(
        agent.metadata.InsertMappings,
        m.InsertMappingsRequest(cache="job", cblocks=[cblocks[0]], oblocks=[9], options=agent.options()),
        grpc.StatusCode.ALREADY_EXISTS,
        "CBLOCK_IN_USE",
    )
    agent.refused(
        agent.metadata.RemoveMappings,
        m.RemoveMappingsRequest(cache="job", cblocks=[cblocks[1]], oblocks=[7], options=agent.options()),
        grpc.StatusCode.FAILED_PRECONDITION,
        "MAPPING_DIRTY",
    )
    agent.refused(
        agent.metadata.MarkDirty,
        m.MarkDirtyRequest(cache="job", cblocks=[cblocks[0], CACHE_BLOCKS], options=agent.options()),
        grpc.StatusCode.OUT_OF_RANGE,
        "CBLOCK_OUT_OF_RANGE",
    )
    agent.refused(
        agent.metadata.Commit, m.CommitRequest(cache="nobody"), grpc.StatusCode.NOT_FOUND, "CACHE_NOT_OPEN"
    )


def stream_batches(agent, free):
    """Two batches over Mutate; half-closing makes them durable, and the last message says so."""
    m = agent.messages
    requests = [
        m.MutateRequest(
            cache="job",
            batch=1,
            insert_mappings=m.InsertMappingsRequest(cblocks=free, oblocks=[1000, 1001], options=agent.options()),
        ),
        m.MutateRequest(batch=2, mark_dirty=m.MarkDirtyRequest(cblocks=free[:1], options=agent.options())),
    ]
    answers = list(agent.metadata.Mutate(iter(requests), timeout=TIMEOUT_S))
    expect([a.batch for answer in answers for a in answer.applied], [1, 2], "batches applied")
    expect(answers[-1].durable_through, 2, "durable_through at the end")


def do_the_job(agent, folder):
    c, m = agent.cache_messages, agent.messages
    created = agent.cache.CreateCache(
        c.CreateCacheRequest(
            name="job",
            metadata_path=str(folder / "metadata"),
            data_block_size_sectors=BLOCK_SECTORS,
            cache_blocks=CACHE_BLOCKS,
            origin_size_sectors=16384 * BLOCK_SECTORS,
            identity="foreign",
        ),
        timeout=TIMEOUT_S,
    ).cache
    agent.incarnation = created.incarnation

    cblocks = make_mappings(agent)
    meet_refusals(agent, cblocks)
    free = [b for b in range(CACHE_BLOCKS) if b not in cblocks][:2]
    stream_batches(agent, free)

    agent.metadata.SetDiscards(
        m.SetDiscardsRequest(
            cache="job", ranges=[agent.common.BlockRange(begin=4000, end=4100)], options=agent.options()
        ),
        timeout=TIMEOUT_S,
    )
    agent.metadata.BeginHints(
        m.BeginHintsRequest(
            cache="job", policy_name="smq", policy_version=agent.common.PolicyVersion(major=2), hint_size_bytes=4
        ),
        timeout=TIMEOUT_S,
    )
    agent.metadata.SaveHints(
        m.SaveHintsRequest(cache="job", cblocks=cblocks[:2], hints=[11, 4294967295]), timeout=TIMEOUT_S
    )
    committed = agent.metadata.Commit(m.CommitRequest(cache="job"), timeout=TIMEOUT_S).result
    expect(committed.durable_transaction >= committed.transaction, True, "the commit is durable")

    expected = sorted(
        [
            (cblocks[0], 500, False, 11),
            (cblocks[1], 7, True, 4294967295),
            (cblocks[2], 16383, True, 0),
            (cblocks[3], 8, False, 0),
            (free[0], 1000, True, 0),
            (free[1], 1001, False, 0),
        ]
    )
    expect(agent.mappings(), expected, "mappings")
    expect([row[0] for row in agent.mappings(dirty_only=True)], [r[0] for r in expected if r[2]], "dirty mappings")
    expect(agent.discards(), [(4000, 4100)], "discards")

    agent.refused(
        agent.cache.CloseCache,
        c.CloseCacheRequest(name="job", require_no_dirty=True),
        grpc.StatusCode.FAILED_PRECONDITION,
        "DIRTY_BLOCKS",
    )
    agent.cache.CloseCache(c.CloseCacheRequest(name="job"), timeout=TIMEOUT_S)
    return expected


def read_again(agent, folder, expected):
    c = agent.cache_messages
    probed = agent.cache.ProbeCache(
        c.ProbeCacheRequest(metadata_path=str(folder / "metadata")), timeout=TIMEOUT_S
    ).superblock
    expect((probed.version, probed.clean_shutdown, probed.identity), (2, True, "foreign"), "superblock after close")
    opened = agent.cache.OpenCache(
        c.OpenCacheRequest(name="job", metadata_path=str(folder / "metadata"), expected_identity="foreign"),
        timeout=TIMEOUT_S,
    )
    expect(opened.adopted, False, "clean metadata is not adopted")
    if opened.cache.incarnation == agent.incarnation:
        raise AssertionError("the incarnation outlived a close")
    expect(agent.mappings(), expected, "mappings after close and open")
    expect(agent.discards(), [(4000, 4100)], "discards after close and open")


def list_by_reflection(channel):
    """Asks for the list of services, in bytes: Debian packages no stubs of the reflection service."""
    call = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    answer = next(call(iter([b"\x3a\x01*"]), timeout=TIMEOUT_S))  # list_services (field 7): "*"
    for service in (
        b"dmcached.v1.CacheService",
        b"dmcached.v1.MetadataService",
        b"dmcached.v1.MaintenanceService",
        b"grpc.health.v1.Health",
    ):
        expect(service in answer, True, f"{service.decode()} in the answer of reflection")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--daemon", "--protoc", "--plugin", "--protos"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="dmcached-foreign.") as name:
        folder = pathlib.Path(name)
        generate_stubs(arguments, folder)
        with open(folder / "metadata", "wb") as metadata:
            metadata.truncate(16 << 20)
        daemon = start_daemon(arguments.daemon, folder)
        try:
            with grpc.insecure_channel(f"unix:{folder}/dmcached.sock") as channel:
                health = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=TIMEOUT_S)
                expect(health, b"\x08\x01", "health (SERVING, on the wire)")
                list_by_reflection(channel)
                agent = Agent(channel)
                expected = do_the_job(agent, folder)
                read_again(agent, folder, expected)
            daemon.send_signal(signal.SIGTERM)
            expect(daemon.wait(timeout=TIMEOUT_S), 0, "exit code after SIGTERM")
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        check = shutil.which("cache_check", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if check:
            subprocess.run([check, "-q", str(folder / "metadata")], check=True)
            print("cache_check: passed")
        print("the main job is done")


if __name__ == "__main__":
    main()
