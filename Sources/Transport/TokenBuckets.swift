import Model
import NIOCore

/// How often each source may connect: a bucket of tokens for each address, refilled over time.
///
/// Holds 1,024 sources. A bucket that has refilled is forgotten when room is needed, since it says
/// nothing; where none has, all further strangers share one. Pure; owned by the transport.
struct TokenBuckets {
    private struct Bucket {
        var tokens: Double
        var since: Instant
    }

    private let burst: Double
    private let perSecond: Double
    private var buckets: [String: Bucket] = [:]

    init(burst: Int, perSecond: Int) {
        self.burst = Double(burst)
        self.perSecond = Double(perSecond)
    }

    /// What shares a bucket: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one
    /// address of it has them all.
    static func source(of address: SocketAddress?) -> String {
        guard case .v6(let six)? = address else { return address?.ipAddress ?? "" }
        // sockaddr_in6: family u16, port u16, flow u32, address (16).
        return unsafe withUnsafeBytes(of: six.address) { whole in
            let bytes = unsafe Array(whole[8..<24])
            let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
            let isIPv4 = bytes.prefix(12).elementsEqual(mapped)
            let part = isIPv4 ? bytes : Array(bytes.prefix(8))
            return part.map { String($0, radix: 16) }.joined(separator: ":")
        }
    }

    var sources: Int { buckets.count }

    /// Takes a token of the source; false where it has none left.
    mutating func take(_ source: String, now: Instant) -> Bool {
        var name = source
        if buckets[source] == nil, buckets.count >= Limits.bucketSources {
            buckets = buckets.filter { refilled($0.value, now).tokens < burst }
            if buckets.count >= Limits.bucketSources { name = "" }
        }
        var bucket = refilled(buckets[name] ?? Bucket(tokens: burst, since: now), now)
        let mayPass = bucket.tokens >= 1
        if mayPass { bucket.tokens -= 1 }
        buckets[name] = bucket
        return mayPass
    }

    private func refilled(_ bucket: Bucket, _ now: Instant) -> Bucket {
        let elapsed = Double(now.milliseconds(since: bucket.since)) / 1_000
        return Bucket(tokens: min(burst, bucket.tokens + elapsed * perSecond), since: now)
    }
}
