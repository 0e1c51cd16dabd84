"""Whoever asks the wrong broker hears of the right one in the same answer (KIP-951).

The messages are kafka-python's: a codec that shares nothing with the broker's.
"""

import struct
from uuid import UUID

import cases
import wire
from broker import wait_until
from cases import case, check
from metadata import NOT_LEADER_OR_FOLLOWER, racked

from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.protocol.producer import ProduceRequest, ProduceResponse

FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH = 74, 75
UNKNOWN_TOPIC_ID = 100
NOBODY = UUID("11111111-2222-4333-8444-555555555555")


def ask(broker, request, response, version):
    """Sends one request and decodes its answer; the broker hears nothing else from this client."""
    request.with_header(correlation_id=5, client_id="hinted")
    frame = bytes(request.encode(version=version, header=True))
    with wire.connect((broker.host, broker.port)) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        answer = wire.read_response(connection)
    check(answer is not None, f"{broker.node_id} closed the connection on version {version}")
    correlation, body = answer
    check(correlation == 5, f"correlation id {correlation}")
    check(body[:1] == b"\0", "no tags in the header")
    return response.decode(body[1:], version=version)


def topic_ids(broker):
    answer = ask(broker, MetadataRequest(
        topics=None, allow_auto_topic_creation=False, include_topic_authorized_operations=False),
        MetadataResponse, 12)
    return {row.name: row.topic_id for row in answer.topics}


def produce(broker, name, topic_id, version, value=b"misplaced"):
    topic = ProduceRequest.TopicProduceData
    named = {"topic_id": topic_id} if version >= 13 else {"name": name}
    answer = ask(broker, ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=5_000, topic_data=[topic(
            partition_data=[topic.PartitionProduceData(index=0, records=wire.batch([value]))],
            **named)]), ProduceResponse, version)
    return answer, answer.responses[0].partition_responses[0]


def fetch(broker, name, topic_id, version, epoch=-1):
    topic = FetchRequest.FetchTopic
    named = {"topic_id": topic_id} if version >= 13 else {"topic": name}
    answer = ask(broker, FetchRequest(
        max_wait_ms=0, min_bytes=1, max_bytes=1 << 20, topics=[topic(
            partitions=[topic.FetchPartition(
                partition=0, current_leader_epoch=epoch, fetch_offset=0,
                partition_max_bytes=1 << 20)], **named)]),
        FetchResponse, version)
    return answer, answer.responses[0].partitions[0]


def hint(answer, partition):
    """(leader, epoch, {node: (host, port, rack)}) of an answer; -1 and nobody where it has none."""
    leader = partition.current_leader
    nodes = {row.node_id: (row.host, row.port, row.rack) for row in answer.node_endpoints or []}
    return (leader.leader_id if leader else -1, leader.leader_epoch if leader else -1, nodes)


@case
def wrong_leader_names_the_right_one(stage):
    """Produce 10 to 13 and Fetch 16: id, epoch, address and rack of the leader, no Metadata asked."""
    rounds = 0
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "led", 1)
        mesh.await_topic("led")
        leader = mesh[cases.metadata(mesh[1])[1]["led"][0][0]]
        ids = [topic_ids(broker)["led"] for broker in mesh]
        check(len(set(ids)) == 1, f"one topic, different ids: {ids}")
        wanted = {leader.node_id: (leader.host, leader.port, "abc"[leader.node_id - 1])}
        epochs = set()
        for broker in mesh:
            asked = [(version, produce, 10) for version in range(9, 14)]
            asked += [(version, fetch, 16) for version in range(12, 17)]
            for version, question, since in asked:
                answer, partition = question(broker, "led", ids[0], version)
                what = f"{question.__name__} {version} at {broker.node_id}"
                if broker is leader:
                    check(partition.error_code == 0, f"{what}: error {partition.error_code}")
                    check(hint(answer, partition) == (-1, -1, {}), f"{what}: a hint at the leader")
                    continue
                check(partition.error_code == NOT_LEADER_OR_FOLLOWER,
                      f"{what}: error {partition.error_code}")
                named, epoch, nodes = hint(answer, partition)
                if version < since:
                    check((named, nodes) == (-1, {}), f"{what}: a hint before it has a meaning")
                    continue
                check(named == leader.node_id and nodes == wanted, f"{what}: {named}, {nodes}")
                epochs.add(epoch)
                rounds += 1
            answer, partition = fetch(broker, None, NOBODY, 16)
            check(partition.error_code == UNKNOWN_TOPIC_ID and not answer.node_endpoints,
                  f"an unknown id at {broker.node_id}: {partition.error_code}")
        check(len(epochs) == 1 and min(epochs) >= 0, f"epochs {epochs}")
        # Who follows the hint is served at the first try.
        answer, partition = produce(mesh[next(iter(wanted))], "led", ids[0], 10, b"well placed")
        check(partition.error_code == 0, f"at the leader named: {partition.error_code}")
    return f"{rounds} answers name leader {leader.node_id}, epoch {epochs.pop()}"


@case
def who_is_fenced_hears_of_the_leader(stage):
    """After a kill the leader has a new epoch: who claims the old one is told the new in Fetch 16."""
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "led", 1)
        mesh.await_topic("led")
        leader = mesh[cases.metadata(mesh[1])[1]["led"][0][0]]
        topic_id = topic_ids(leader)["led"]
        leader.kill()
        leader.start()

        def epoch():
            _, partition = fetch(leader, "led", topic_id, 16, epoch=0)
            return partition.error_code == FENCED_LEADER_EPOCH

        wait_until(epoch, 20, "an epoch above 0 after a kill", 0.05)
        answer, partition = fetch(leader, "led", topic_id, 16, epoch=0)
        named, now, nodes = hint(answer, partition)
        check(named == leader.node_id and now > 0, f"leader {named}, epoch {now}")
        check(nodes == {named: (leader.host, leader.port, "abc"[named - 1])}, f"nodes {nodes}")
        for version, claimed, error in ((15, 0, FENCED_LEADER_EPOCH), (16, now, 0),
                                        (16, now + 1, UNKNOWN_LEADER_EPOCH)):
            answer, partition = fetch(leader, "led", topic_id, version, epoch=claimed)
            what = f"version {version}, epoch {claimed} of {now}"
            check(partition.error_code == error, f"{what}: error {partition.error_code}")
            check(hint(answer, partition) == (-1, -1, {}), f"{what}: a hint that says nothing new")
    return f"epoch {now} beside FENCED_LEADER_EPOCH"
