import Model

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
