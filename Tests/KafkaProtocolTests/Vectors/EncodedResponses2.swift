extension GoldenFrame {
    /// The second half of `encodedResponses1`.
    static let encodedResponses2 = parse(
        """
        > kafka-python Heartbeat Response 3
        089a9f4f000000000001
        > kafka-python Heartbeat Response 4
        0012d3990080000000000100
        > kafka-python LeaveGroup Response 0
        027d3808ffff
        > kafka-python LeaveGroup Response 1
        2db13deb000000000000
        > kafka-python LeaveGroup Response 2
        30aed12d000000018000
        > kafka-python LeaveGroup Response 3
        1b4ffd5f0000000100010000000100093132372e302e302e31ffffcfde
        > kafka-python LeaveGroup Response 4
        7b777e71008000000083640100
        > kafka-python LeaveGroup Response 5
        08560684000000000300010208746f7069632d3107676f6c64656e7fff0000
        > kafka-python SyncGroup Response 0
        50405c43000100000000
        > kafka-python SyncGroup Response 1
        73461e0780000000ffff00000001bf
        > kafka-python SyncGroup Response 2
        147f1f67aad55c0b80000000000540f0beb3bf
        > kafka-python SyncGroup Response 3
        65a29cc800000000000300000000
        > kafka-python SyncGroup Response 4
        3f5560cd007fffffff8000023a00
        > kafka-python SyncGroup Response 5
        2d5245f4007fffffff00000a3132372e302e302e3109636f6e73756d65720100
        > kafka-python DescribeGroups Response 0
        5fa7201200000000
        > kafka-python DescribeGroups Response 1
        74915c14000000030000000147890007746f7069632d310006676f6c64656e000572c3bc636b0008636f6e73
        756d657200000001000572c3bc636b00017800093132372e302e302e3100000000000000011c
        > kafka-python DescribeGroups Response 2
        3b997815000000010000000100000007746f7069632d3100000007746f7069632d31000572c3bc636b000000
        00
        > kafka-python DescribeGroups Response 3
        1f38df550000000300000001ffff0000000572c3bc636b000000093132372e302e302e310000000100000006
        676f6c64656e0007746f7069632d3100000001d10000000080000000
        > kafka-python DescribeGroups Response 4
        32fd73c50000000100000000
        > kafka-python DescribeGroups Response 5
        27ad8d5100000000030280000672c3bc636b010672c3bc636b08746f7069632d31020a3132372e302e302e31
        08746f7069632d310108746f7069632d31061e65ca3e0206c8b079b09800800000000000
        > kafka-python DescribeGroups Response 6
        2fc6c4e6000000000102800007676f6c64656e0672c3bc636b0672c3bc636b08746f7069632d3108746f7069
        632d31020a3132372e302e302e3107676f6c64656e010102b4064b8ab27d3000800000000000
        > kafka-python ListGroups Response 0
        63329992805e000000020006676f6c64656e00093132372e302e302e310000000572c3bc636b
        > kafka-python ListGroups Response 1
        2138e2e67fffffff0003000000010006676f6c64656e0006676f6c64656e
        > kafka-python ListGroups Response 2
        08252b3900000001000100000000
        > kafka-python ListGroups Response 3
        7dccc026007fffffffffff0207676f6c64656e0672c3bc636b0000
        > kafka-python ListGroups Response 4
        440c7e5b00ffffffff3cf60100
        > kafka-python ListGroups Response 5
        19e9e3a4003bfb1b7100010100
        > kafka-python ApiVersions Response 0
        531c88120000000000017fff7fffffff
        > kafka-python ApiVersions Response 1
        509d97cd531e000000027fff4008000300007fffffffb8cd9122
        > kafka-python ApiVersions Response 2
        4ce09ecb7fff00000001000300017fffbba58126
        > kafka-python ApiVersions Response 3
        388629ff7fff02263e0003000000ffffffff01001e030a3132372e302e302e31800000000009636f6e73756d
        65727fff7fff00
        > kafka-python ApiVersions Response 4
        65339cf08000030001145e0001000003ffff7fff007fffffff00
        > kafka-python CreateTopics Response 2
        0fdfde1980000000000000010000800000093132372e302e302e31
        > kafka-python CreateTopics Response 3
        47bac8aa60f0fe7900000000
        > kafka-python CreateTopics Response 4
        271a919f0000000300000001000572c3bc636b0003ffff
        > kafka-python CreateTopics Response 5
        2f237c4d007fffffff0209636f6e73756d657280000080000000000001010002ffff00
        > kafka-python CreateTopics Response 6
        7074feb30000000003020672c3bc636bcdcd008000000000000309636f6e73756d65720672c3bc636b010301
        0007676f6c64656e01010000000000
        > kafka-python CreateTopics Response 7
        2dcafc82003017c533030278bc3eb4029ba14c350ab5207fc6b6020a000309636f6e73756d65727fffffff7f
        ff010001c60fb2524df742aee267e12b65e5f13f00010672c3bc636b000000010003010100026d5a00
        > kafka-python DeleteTopics Response 1
        7e53d7027fffffff00000000
        > kafka-python DeleteTopics Response 2
        25f41dd600000003000000020006676f6c64656e7fff0008636f6e73756d65720001
        > kafka-python DeleteTopics Response 3
        0c8d51d20000000000000001000572c3bc636b0000
        > kafka-python DeleteTopics Response 4
        4c9e903a008000000002027800000000
        > kafka-python DeleteTopics Response 5
        49851b7900ffffffff0307676f6c64656e7fff0672c3bc636b0009636f6e73756d65727fff02780000
        > kafka-python DeleteTopics Response 6
        0623ffbf007fffffff0209636f6e73756d6572e237c8772e0e6673ced7cd177e14c5950001000000
        > kafka-python DeleteRecords Response 0
        192703a700000001000000010006676f6c64656e000000010000000000000000000000030001
        > kafka-python DeleteRecords Response 1
        010d583f0000000300000000
        > kafka-python DeleteRecords Response 2
        55527a3c00800000000100
        > kafka-python InitProducerId Response 0
        59f8068effffffff800000000000000000000000
        > kafka-python InitProducerId Response 1
        760272baabb9a6617fff7fffffffffffffff7fff
        > kafka-python InitProducerId Response 2
        579a795400000000010003d7390b0310e94dce7fff00
        > kafka-python InitProducerId Response 3
        67e2189b00800000007fff0e1a3a51534bfa86ffff00
        > kafka-python InitProducerId Response 4
        7279101c0080000000000300000000000000037fff00
        > kafka-python InitProducerId Response 5
        5bf774cf00ffffffff80000000000000000000000000
        > kafka-python OffsetForLeaderEpoch Response 2
        277664d080000000000000010006676f6c64656e000000028000ffffffff7fffffffffffffffffffffffffff
        f257dcb6000000037fffffffffffffff
        > kafka-python OffsetForLeaderEpoch Response 3
        6422a73e80000000000000020007746f7069632d3100000001075e0000000300000003000000000000000100
        06676f6c64656e0000000180007fffffffffffffffffffffffffffffff
        > kafka-python OffsetForLeaderEpoch Response 4
        178976de0080000000020672c3bc636b02800000000000000000010000000000000000000000
        > kafka-python DescribeConfigs Response 1
        33ffb40200000000000000010003ffff80000000000001000178000178010000000000020008636f6e73756d
        657200000000000006676f6c64656e80
        > kafka-python DescribeConfigs Response 2
        316e864500000003000000010000000178800007746f7069632d3100000000
        > kafka-python DescribeConfigs Response 3
        7f44cbca000000030000000200030006676f6c64656e0000093132372e302e302e31000000000001000572c3
        bc636b00000572c3bc636b00000001000572c3bc636bffff01010000000000d70006676f6c64656e
        > kafka-python DescribeConfigs Response 4
        2224981300ffffffff038000017f01010000010672c3bc636b0309636f6e73756d6572010000
        > kafka-python AlterConfigs Response 0
        0dd4c0e60000000100000000
        > kafka-python AlterConfigs Response 1
        1db6710100000003000000010000ffff01000178
        > kafka-python AlterConfigs Response 2
        747a4829008000000003000108746f7069632d310108746f7069632d3100000302780308746f7069632d3100
        00
        > kafka-python DescribeLogDirs Response 1
        6af3189996232e8700000002726d0000000000000001000178000000010008636f6e73756d657200000000
        > kafka-python DescribeLogDirs Response 2
        0413ffc7007fffffff03000308746f7069632d310100000101020672c3bc636b01000000
        > kafka-python DescribeLogDirs Response 3
        7a7e8c31000000000100030300010672c3bc636b030a3132372e302e302e3101000672c3bc636b02cbed523c
        00000000000000007fffffffffffffff010000007fff08746f7069632d310209636f6e73756d657201000000
        > kafka-python DescribeLogDirs Response 4
        4dd8571500ffffffff7fff030000010309636f6e73756d657201000672c3bc636b021ef6a99f000000000000
        0003ffffffffffffffff0000007fffffffffffffff000000000000000300ffff07676f6c64656e017fffffff
        ffffffff00000000000000030000
        > kafka-python DescribeLogDirs Response 5
        0e16af3f00ce7674e90003020001010309636f6e73756d6572020000000100000000000000037fffffffffff
        ffff00000008746f7069632d310200000000ffffffffffffffff2ab9278d92dfcf9901000000000000000000
        000000000000000003010000
        > kafka-python CreatePartitions Response 0
        4a34041e80000000000000010007746f7069632d31ffff0006676f6c64656e
        > kafka-python CreatePartitions Response 1
        4d1313387fffffff0000000100093132372e302e302e317fff00093132372e302e302e31
        > kafka-python CreatePartitions Response 2
        29bc473400000000000207676f6c64656effff010000
        > kafka-python CreatePartitions Response 3
        21986e3c007fffffff020a3132372e302e302e3100030a3132372e302e302e310000
        > kafka-python DeleteGroups Response 0
        38ec71aa8000000000000000
        > kafka-python DeleteGroups Response 1
        04d07f2900000001000000010006676f6c64656e0000
        > kafka-python DeleteGroups Response 2
        40c56cf600000000000207676f6c64656e00000000
        > kafka-python IncrementalAlterConfigs Response 0
        378d2f8d0000000000000001ffffffff000008636f6e73756d6572
        > kafka-python IncrementalAlterConfigs Response 1
        1943779100000000010100
        > kafka-python OffsetDelete Response 0
        150e33887ddb7fffffff00000000
        > kafka-python DescribeCluster Response 0
        6675d5e20080000000000307676f6c64656e027880000000020000000107676f6c64656e800000000a313237
        2e302e302e31008000000000
        > kafka-python DescribeCluster Response 1
        42fc7edf00c7656069000008746f7069632d31000a3132372e302e302e317fffffff021f8c2c510672c3bc63
        6b000000010278008000000000
        > kafka-python DescribeCluster Response 2
        7ea413e50000000003000302780009636f6e73756d657200000003020000000309636f6e73756d6572000000
        0309636f6e73756d657201008000000000
        > kafka-python DescribeProducers Response 0
        6f9d1d740000000003020672c3bc636b023020321bffff00020000000000000000ffffffffffffffff800000
        00000000007fffffffffffffffffffffff00000000
        > kafka-python DescribeTopicPartitions Response 0
        6c7ceeb7007fffffff03ffff09636f6e73756d65725037e6698a3a0129a9d84c4f6ed338be01020000000000
        017fffffffffffffff030000000143f9c78c03e906d118e9958fd10200000003000200000001007fffffff00
        800008746f7069632d31ca27cd6942264ba40775d77822ed1e25000278c0ffffffff0000000300000003027f
        ffffff01027fffffff00020000000100ffffffff000102787fffffff0000
        """)
}
