import ArgumentParser
import Broker
import Foundation

/// `gossamer gossip tap`: what one broker says and hears, in clear.
struct GossipTap: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap",
        abstract: "Show one broker's gossip datagrams as they pass, decrypted and explained.",
        discussion: """
            What goes over links (TCP) is not shown. The broker's log says who looked; the
            tap closes 5 s after the last look. --pcap writes a pcapng file that Wireshark
            and tcpdump open: IP and UDP headers are made up from the members' addresses,
            the payload is in clear, and each packet's comment says what it means.

            EXAMPLES:
              $ gossamer gossip tap --count 4 --pcap mesh.pcapng
              tapping 1: its log says so; Ctrl-C ends it
              16:16:08.636  IN  3 -> 1  36 B  PING 205977f86032f4fd
              16:16:08.747  OUT 1 -> 3  36 B  ACK 205977f86032f4fd
              16:16:08.777  OUT 1 -> 3  36 B  PING ac64f9b1a6165a27
              16:16:08.777  IN  3 -> 1  36 B  ACK ac64f9b1a6165a27
              4 packets in mesh.pcapng
              $ tcpdump -nr mesh.pcapng -c 1
              16:16:08.636000 IP 127.0.0.1.17948 > 127.0.0.1.17946: UDP, length 11

              gossamer gossip tap --from 2 --peer 3
              gossamer gossip tap -o json | jq -r 'select(.isOutgoing) | .text'
            """)

    @Option(help: ArgumentHelp("Packets to and from this member only.", valueName: "n"))
    var peer: Int32?

    @Option(help: ArgumentHelp("End after so many packets.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("Write them to this file, as pcapng, too.", valueName: "file"))
    var pcap: String?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    func validate() throws {
        guard count.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--count \(count ?? 0): expected a number from 1")
        }
    }

    func run() async throws {
        let stop = await Interruption.flag()
        let members = try await admin.askOne(InspectionQuestion(.members))
        let capture = PacketCapture(own: members.nodeId, members: members.members ?? [])
        let file = try pcap.map(Self.create)
        try file?.write(contentsOf: Data(PacketCapture.opening()))
        Terminal.complain("tapping \(members.nodeId): its log says so; Ctrl-C ends it")
        // What is there already was seen by whoever opened the tap before.
        var last = try await admin.askOne(InspectionQuestion(.tap)).packets?.last?.number ?? 0
        var printed = 0
        while !stop.isSet {
            let answer = try await admin.askOne(InspectionQuestion(.tap, after: last))
            for packet in answer.packets ?? [] {
                last = packet.number
                guard peer == nil || packet.peer == peer else { continue }
                Terminal.print(
                    output.format == .json
                        ? try JSONText.line(packet) : Self.line(packet, own: members.nodeId))
                if let file, let block = capture.block(of: packet) {
                    try file.write(contentsOf: Data(block))
                }
                printed += 1
                if printed == count { break }
            }
            if printed == count { break }
            try await Interruption.pause(milliseconds: admin.pollMilliseconds, stop)
        }
        if let pcap { Terminal.complain("\(Counted.text(printed, "packet")) in \(pcap)") }
    }

    /// `14:02:11.204  OUT 1 -> 2  412 B  PING 8f.. | record of 1 ..`
    static func line(_ packet: PacketReport, own: Int32) -> String {
        let way =
            packet.isOutgoing ? "OUT \(own) -> \(packet.peer)" : "IN  \(packet.peer) -> \(own)"
        return "\(Durations.moment(packet.at, now: packet.at))  \(way)  \(packet.bytes) B  "
            + packet.text
    }

    private static func create(_ path: String) throws -> FileHandle {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else {
            throw CommandFailure("--pcap \(path): can't be written: \(SystemError.last)")
        }
        return FileHandle(fileDescriptor: file, closeOnDealloc: true)
    }
}
