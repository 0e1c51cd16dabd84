"""One mesh for clients: whichever broker they ask, they get the same answer."""

import struct

import cases
import wire
from broker import wait_until
from cases import case, check
from mesh import Mesh

OFFSET_COMMIT = 8
INIT_PRODUCER_ID = 22
NOT_LEADER_OR_FOLLOWER = 6


def racked(stage, count=3):
    letters = "abcde"
    mesh = Mesh(count, stage.binary)
    for broker in mesh:
        broker.environment["GOSSAMER_RACK"] = letters[broker.node_id - 1]
    return mesh


@case
def topic_through_three_brokers(stage):
    """Created at 1, published at 2 by kcat, consumed at 3 by confluent-kafka."""
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[1], "orders", 3)
        sent = [f"order {n}" for n in range(2_000)]
        cases.kcat_publish(mesh[2], "orders", sent)
        got = cases.consume(mesh[3], "orders", len(sent))
        check(sorted(got) == sorted(sent), f"{len(got)} of {len(sent)} records, or others")
        # And the other way round, topics that another broker makes.
        for maker in (2, 3):
            cases.create_topic(mesh[maker], f"made-at-{maker}", 2)
            cases.publish(mesh[1], f"made-at-{maker}", ["a", "b"], 2)
            got = cases.consume(mesh[5 - maker], f"made-at-{maker}", 2)
            check(sorted(got) == ["a", "b"], f"made at {maker}: {got}")
    return "2,000 records of 2,000"


@case
def metadata_is_the_same_everywhere(stage):
    with racked(stage) as mesh:
        mesh.start()
        for number in range(1, 4):
            cases.create_topic(mesh[number], f"topic-{number}", 2)
        for number in range(1, 4):
            mesh.await_topic(f"topic-{number}")
        answers = [cases.metadata(broker) for broker in mesh]
        check(answers[0] == answers[1] == answers[2], f"different answers: {answers}")
        brokers, topics = answers[0]
        wanted = {broker.node_id: (broker.host, broker.port) for broker in mesh}
        check(brokers == wanted, f"brokers {brokers}")
        check(set(topics) == {"topic-1", "topic-2", "topic-3"}, f"topics {set(topics)}")
        for name, partitions in topics.items():
            for number, (leader, error) in partitions.items():
                check(leader in wanted and not error, f"{name}/{number}: leader {leader}, {error}")
        for broker in mesh:
            found = cases.racks(broker)
            check(found == {1: "a", 2: "b", 3: "c"}, f"racks at {broker.node_id}: {found}")
        leaders = {name: {leader for leader, _ in rows.values()} for name, rows in topics.items()}
    return f"leaders {leaders}"


@case
def topic_is_seen_at_once_by_others(stage):
    """Created at one broker, asked for at another the next moment: never unknown."""
    rounds = 30
    with racked(stage) as mesh:
        mesh.start()
        admins = {broker.node_id: cases.Administrator(broker) for broker in mesh}
        late = 0
        for number in range(rounds):
            maker, reader = mesh[1 + number % 3], mesh[1 + (number + 1) % 3]
            name = f"fresh-{number}"
            admins[maker.node_id].create(name, 1)
            with wire.connect((reader.host, reader.port)) as connection:
                body = struct.pack(">i", 1) + wire.string(name.encode())
                connection.sendall(wire.request(wire.METADATA, 1, 1, body))
                _, answer = wire.read_response(connection)
            place = answer.index(wire.string(name.encode()))
            error = struct.unpack_from(">h", answer, place - 2)[0]
            check(error != 3, f"{name}: unknown at {reader.node_id} after {maker.node_id} made it")
            late += error != 0
    return f"{rounds} topics, 0 unknown, {late} not available yet"


def commit(connection, number, topic):
    """Commits an offset of a group without members; the error of the one partition."""
    partition = struct.pack(">iq", 0, 7) + wire.string(b"")
    body = (wire.string(b"loner") + struct.pack(">i", -1) + wire.string(b"") + struct.pack(">q", -1)
            + struct.pack(">i", 1) + wire.string(topic) + struct.pack(">i", 1) + partition)
    connection.sendall(wire.request(OFFSET_COMMIT, 2, number, body))
    _, answer = wire.read_response(connection)
    return struct.unpack(">h", answer[-2:])[0]


@case
def fresh_topic_can_be_committed(stage):
    """Created at one broker, committed at the coordinator the next moment: never unknown."""
    rounds = 30
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[1], "held", 1)
        mesh.await_topic("held")
        # Whoever coordinates the group takes its commits; the others send clients there.
        for broker in mesh:
            cases.committed(broker, "loner", "held", 1)
        connections = {b.node_id: wire.connect((b.host, b.port)) for b in mesh}
        try:
            def coordinator():
                found = [n for n, one in connections.items() if commit(one, 1, b"held") == 0]
                return found and found[0]
            node = wait_until(coordinator, 20, "a coordinator that takes a commit", 0.05)
            makers = {n: cases.Administrator(mesh[n]) for n in connections if n != node}
            for number in range(rounds):
                name = f"fresh-{number}"
                makers[sorted(makers)[number % len(makers)]].create(name, 1)
                error = commit(connections[node], 2 + number, name.encode())
                check(error == 0, f"{name}: error {error} by coordinator {node}")
            error = commit(connections[node], 1_000, b"never-made")
            check(error == 3, f"a topic that nobody made: error {error}")
        finally:
            for connection in connections.values():
                connection.close()
    return f"{rounds} topics, coordinator {node}"


@case
def groups_through_any_broker(stage):
    """Members of one group that know different brokers share its partitions and its offsets."""
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "shared", 6)
        consumers = [cases.Consumer({
            "bootstrap.servers": broker.bootstrap, "group.id": "readers",
            "auto.offset.reset": "earliest", "enable.auto.commit": False, **cases.QUIET})
            for broker in mesh]
        try:
            for consumer in consumers:
                consumer.subscribe(["shared"])
            got = []

            def poll():
                for consumer in consumers:
                    message = consumer.poll(0.02)
                    if message is not None and not message.error():
                        got.append(message.value().decode())
                return sorted(len(c.assignment()) for c in consumers)

            wait_until(lambda: poll() == [2, 2, 2], 30, "two partitions for each member", 0)
            sent = [f"v{n}" for n in range(600)]
            cases.publish(mesh[3], "shared", sent, 6)
            wait_until(lambda: poll() and len(got) >= 600, 30, "all records for the group", 0)
            check(sorted(got) == sorted(sent), "records twice or others")
            for consumer in consumers:
                consumer.commit(asynchronous=False)
        finally:
            for consumer in consumers:
                consumer.close()
        for broker in mesh:
            offsets = cases.committed(broker, "readers", "shared", 6)
            check(offsets == {n: 100 for n in range(6)}, f"at {broker.node_id}: {offsets}")
        names = [cases.Administrator(broker).groups() for broker in mesh]
        check(all(row == ["readers"] for row in names), f"groups by broker: {names}")
        done = mesh[1].cli("group", "describe", "readers", "--bootstrap", mesh[1].bootstrap)
        check("shared" in done.stdout, done.stdout)
    return "3 members, 600 records, offsets the same by each broker"


@case
def administration_through_any_broker(stage):
    """Alter, grow, trim and delete by brokers that do not hold the topic."""
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[1], "managed", 2)
        admins = {broker.node_id: cases.Administrator(broker) for broker in mesh}
        admins[2].alter("managed", "retention.ms", "123456")
        for node, one in admins.items():
            wait_until(lambda: one.config("managed", "retention.ms") == "123456", 10,
                       f"the altered value by {node}", 0.05)
        admins[3].grow("managed", 5)
        for broker in mesh:
            wait_until(lambda: len(cases.metadata(broker)[1].get("managed", {})) == 5, 10,
                       f"five partitions by {broker.node_id}", 0.05)
        cases.publish(mesh[2], "managed", [f"{n}" for n in range(50)], 5)
        check(len(cases.consume(mesh[3], "managed", 50)) == 50, "records of the grown topic")
        try:
            admins[3].create("managed", 1)
            check(False, "a second topic of the same name")
        except cases.KafkaException as error:
            check(error.args[0].name() == "TOPIC_ALREADY_EXISTS", f"{error}")
        admins[3].delete("managed")
        for broker in mesh:
            wait_until(lambda: "managed" not in cases.metadata(broker)[1], 10,
                       f"no topic by {broker.node_id}", 0.05)
        # The same name anew is another topic, with nothing in it.
        admins[2].create("managed", 1)
        cases.publish(mesh[3], "managed", ["anew"], 1)
        check(cases.consume(mesh[1], "managed", 1) == ["anew"], "the topic of the same name")
    return "altered at 2, grown at 3, deleted at 3, made anew at 2"


@case
def wrong_leader_is_told(stage):
    """A produce or fetch at a broker that does not lead is refused, and a client finds the leader."""
    with racked(stage) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "led", 1)
        mesh.await_topic("led")
        leader = cases.metadata(mesh[1])[1]["led"][0][0]
        batch = wire.batch([b"misplaced"])
        for broker in mesh:
            with wire.connect((broker.host, broker.port)) as connection:
                body = wire.produce_body(b"led", 0, batch)
                connection.sendall(wire.request(wire.PRODUCE, 3, 1, body))
                _, answer = wire.read_response(connection)
            error = wire.produce_error(answer)
            wanted = 0 if broker.node_id == leader else NOT_LEADER_OR_FOLLOWER
            check(error == wanted, f"produce at {broker.node_id}, leader {leader}: error {error}")
        check(cases.consume(mesh[3], "led", 1) == ["misplaced"], "exactly one record")
    return f"leader {leader}; others say NOT_LEADER_OR_FOLLOWER"


def producer_ids(broker, count):
    ids = []
    with wire.connect((broker.host, broker.port)) as connection:
        for number in range(count):
            body = struct.pack(">hi", -1, 60_000)
            connection.sendall(wire.request(INIT_PRODUCER_ID, 0, number, body))
            _, answer = wire.read_response(connection)
            _, error, producer, epoch = struct.unpack(">ihqh", answer)
            check(error == 0 and epoch == 0, f"error {error}, epoch {epoch} at {broker.node_id}")
            ids.append(producer)
    return ids


@case
def producer_ids_are_unique(stage):
    with racked(stage) as mesh:
        mesh.start()
        ids = [producer for broker in mesh for producer in producer_ids(broker, 1_500)]
        mesh[2].kill()
        mesh[2].start()
        mesh.stop()
        mesh.start()
        ids += [producer for broker in mesh for producer in producer_ids(broker, 1_500)]
        check(len(set(ids)) == len(ids), f"{len(ids) - len(set(ids))} ids twice")
    return f"{len(ids)} ids of 3 brokers over a kill and a restart of all"
