import ArgumentParser
import Foundation

/// The root of the benchmark programs.
///
/// Each prints what it did, what came out and, where the broker's process is named, what it cost
/// the broker; cost is the figure that means something on a shared machine.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossamer-bench",
        abstract: "Measure a Kafka broker, the codec and the log.",
        discussion: """
            EXAMPLES:
              gossamer-bench produce --count 1000000 --broker-pid $(pidof gossamer)
              gossamer-bench consume --topic bench
              gossamer-bench latency --rate 1000 --seconds 10
              gossamer-bench connections --count 10000
              gossamer-bench codec
              gossamer-bench log --directory /tmp/bench
            """,
        subcommands: [
            ProduceBench.self, ConsumeBench.self, LatencyBench.self, ConnectionsBench.self,
            CodecBench.self, LogBench.self,
        ])
}
