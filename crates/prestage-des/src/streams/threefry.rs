//! Threefry-4x64 with 13 rounds: a keyed bijection of 256 bits.
//!
//! Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
//! 13 is the least number of rounds that the authors found to pass BigCrush with a
//! margin. Additions, rotations and exclusive ors only, so the result is the same on
//! every machine. Must not know what a block is used for.

const ROUNDS: usize = 13;

/// The parity constant of the Skein key schedule (Skein 1.3).
const PARITY: u64 = 0x1bd1_1bda_a9fc_1a22;

/// Rotation distances of the two mixes of a round, in bits; repeated every 8 rounds.
const ROTATIONS: [(u32, u32); 8] = [
    (14, 16),
    (52, 57),
    (23, 40),
    (5, 37),
    (25, 33),
    (46, 12),
    (58, 22),
    (32, 32),
];

/// The block that `key` assigns to `counter`; another one for every other counter.
#[inline]
pub(super) const fn block(counter: [u64; 4], key: [u64; 4]) -> [u64; 4] {
    let keys = [
        key[0],
        key[1],
        key[2],
        key[3],
        PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3],
    ];
    let mut words = inject(counter, &keys, 0);
    let mut round = 0;
    while round < ROUNDS {
        let (left, right) = ROTATIONS[round % 8];
        let [a, b, c, d] = words;
        words = if round.is_multiple_of(2) {
            let ((a, b), (c, d)) = (mix(a, b, left), mix(c, d, right));
            [a, b, c, d]
        } else {
            let ((a, d), (c, b)) = (mix(a, d, left), mix(c, b, right));
            [a, b, c, d]
        };
        round += 1;
        if round.is_multiple_of(4) {
            words = inject(words, &keys, round / 4);
        }
    }
    words
}

#[inline]
const fn mix(sum: u64, other: u64, rotation: u32) -> (u64, u64) {
    let sum = sum.wrapping_add(other);
    (sum, other.rotate_left(rotation) ^ sum)
}

/// Adds the key of injection number `turn`.
#[inline]
const fn inject(words: [u64; 4], keys: &[u64; 5], turn: usize) -> [u64; 4] {
    [
        words[0].wrapping_add(keys[turn % 5]),
        words[1].wrapping_add(keys[(turn + 1) % 5]),
        words[2].wrapping_add(keys[(turn + 2) % 5]),
        words[3]
            .wrapping_add(keys[(turn + 3) % 5])
            .wrapping_add(turn as u64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123 (`kat_vectors`,
    /// rows `threefry4x64 13`): zeros, ones, digits of pi.
    #[test]
    fn gives_the_published_answers() {
        let zeros = [0; 4];
        assert_eq!(
            block(zeros, zeros),
            [
                0x4071_fabe_e1dc_8e05,
                0x02ed_3113_695c_9c62,
                0x3973_11b5_b89f_9d49,
                0xe212_92c3_2580_24bc
            ]
        );
        let ones = [u64::MAX; 4];
        assert_eq!(
            block(ones, ones),
            [
                0x7eae_d935_4797_22b5,
                0x9099_4358_c429_f31c,
                0x4963_8108_3e07_a75b,
                0x627e_d0d7_4682_1121
            ]
        );
        let counter = [
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
        ];
        let key = [
            0x4528_21e6_38d0_1377,
            0xbe54_66cf_34e9_0c6c,
            0xc0ac_29b7_c97c_50dd,
            0x3f84_d5b5_b547_0917,
        ];
        assert_eq!(
            block(counter, key),
            [
                0x4361_288e_f9c1_900c,
                0x8717_2915_2178_2833,
                0x0d19_db18_c20c_f47e,
                0xa0b4_1d63_ac85_81e5
            ]
        );
    }
}
