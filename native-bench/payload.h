/*
 * The payload of every message says who sent it, as which number and when, and proves that it arrived unchanged:
 *
 *    0        4        8         12       16         24         32        40
 *   +--------+--------+---------+--------+----------+----------+---------+----------------+
 *   | marker | run    | sender  | bytes  | number   | sent ns  | seal    | pattern ...    |
 *   +--------+--------+---------+--------+----------+----------+---------+----------------+
 *     u32      u32      u32       u32      u64        u64        u64       8 bytes repeated
 *
 * The seal covers all words before it; the pattern follows from the seal. Host byte order: sender and receiver are
 * runs of this program on one machine.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct payload {
	uint32_t marker, run, sender, bytes;
	uint64_t number, sent_ns, seal;
};
#define PAYLOAD_BYTES_MIN 40

void payload_write(uint8_t *target, const struct payload *payload);
/* Answers false when anything in it is not as it was written. */
bool payload_read(const uint8_t *source, size_t bytes, struct payload *payload);
#endif
