// Calls `compress_armv8` of src/hash/sha1.rs: the vectors of FIPS 180, and a plain SHA-1 as the second
// opinion about every number of blocks up to a thousand.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { BLOCK = 64, MOST = 1000, PAGE = 65536 }; // a multiple of every page size that Linux has

void compress(uint32_t state[5], const uint8_t *blocks, size_t count); // core.rs

static const uint32_t START[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

// FIPS 180-4, 6.1.2, word for word, so that it shares no thought with the assembly.
static void plain(uint32_t state[5], const uint8_t *at, size_t count) {
#define ROTL(n, x) ((x) << (n) | (x) >> (32 - (n)))
    for (; count > 0; count--, at += BLOCK) {
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int t = 0; t < 80; t++) {
            if (t < 16) {
                const uint8_t *m = at + 4 * t;
                w[t] = (uint32_t)m[0] << 24 | m[1] << 16 | m[2] << 8 | m[3];
            } else {
                w[t] = ROTL(1, w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]);
            }
            uint32_t f = t < 20   ? ((b & c) ^ (~b & d)) + 0x5a827999
                         : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                         : t < 60 ? ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc
                                  : (b ^ c ^ d) + 0xca62c1d6;
            uint32_t next = ROTL(5, a) + f + e + w[t];
            e = d, d = c, c = ROTL(30, b), b = a, a = next;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
}

static uint64_t random64(void) {
    static uint64_t x = 0x9e3779b97f4a7c15; // the same numbers in each run
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}

static void demand(int fine, const char *what, size_t count) {
    if (!fine) {
        fprintf(stderr, "compress_armv8: %s (%zu blocks)\n", what, count);
        exit(1);
    }
}

// `repeats` times `text`, with its padding, in calls of one block and in one call.
static void vector(const char *text, size_t repeats, const uint32_t digest[5]) {
    size_t bytes = strlen(text) * repeats, count = (bytes + 8) / BLOCK + 1;
    uint8_t *message = calloc(count, BLOCK);
    demand(message != NULL, "no memory", count);
    for (size_t i = 0; i < bytes; i++)
        message[i] = text[i % strlen(text)];
    message[bytes] = 0x80;
    for (int i = 0; i < 8; i++)
        message[count * BLOCK - 1 - i] = (uint64_t)bytes * 8 >> 8 * i;

    uint32_t at_once[5], one_by_one[5];
    memcpy(at_once, START, sizeof START);
    memcpy(one_by_one, START, sizeof START);
    compress(at_once, message, count);
    for (size_t i = 0; i < count; i++)
        compress(one_by_one, message + i * BLOCK, 1);
    demand(memcmp(at_once, digest, 20) == 0, "not the digest that FIPS 180 gives", count);
    demand(memcmp(one_by_one, digest, 20) == 0, "block by block, another digest", count);
    free(message);
}

int main(void) {
    demand((getauxval(AT_HWCAP) & HWCAP_SHA1) != 0, "no SHA-1 instructions to test with", 0);

    vector("abc", 1, (uint32_t[]){0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d});
    vector("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
           (uint32_t[]){0x84983e44, 0x1c3bd26e, 0xbaae4aa1, 0xf95129e5, 0xe54670f1});
    vector("a", 1000000, (uint32_t[]){0x34aa973c, 0xd4c4daa4, 0xf61eeb2b, 0xdbad2731, 0x6534016f});

    // No page may be read behind the last block, none be written but the state.
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    demand(pages != MAP_FAILED, "no memory", 0);
    for (size_t i = 0; i < PAGE; i++)
        pages[i] = random64() >> 32;
    demand(mprotect(pages, PAGE, PROT_READ) == 0, "mprotect", 0);
    demand(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0, "mprotect", 0);

    for (size_t count = 0; count <= MOST; count++) {
        // Blocks at any address: every second time not aligned.
        const uint8_t *blocks = pages + PAGE - count * BLOCK - (count % 2) * (random64() % BLOCK);
        struct {
            uint32_t before, state[5], after;
        } theirs, ours;
        for (size_t i = 0; i < sizeof ours / 4; i++)
            ((uint32_t *)&ours)[i] = random64() >> 32;
        theirs = ours;
        plain(theirs.state, blocks, count);
        compress(ours.state, blocks, count);
        demand(memcmp(&ours, &theirs, sizeof ours) == 0, "not what a plain SHA-1 gives", count);
    }
    printf("compress_armv8: the vectors of FIPS 180, and 0 to %d blocks against a plain SHA-1: right\n", MOST);
}
