import Testing

/// What the whole data path between two brokers keeps, whatever comes in between.
@Suite struct ShardPairSearchTests {
    @Test("Two copies under random schedules: nothing acknowledged is lost, and both end alike")
    func pairs() {
        var acknowledged = 0
        for seed in 0..<40 as Range<UInt64> {
            do {
                var search = ShardPairSearch(seed: seed)
                try search.run()
                acknowledged += search.acknowledged.count
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(acknowledged > 500, "\(acknowledged)")
    }
}
