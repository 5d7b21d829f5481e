/* Bytes on their way in or out: appended at the end, taken from the beginning. */
#ifndef BYTE_QUEUE_H
#define BYTE_QUEUE_H
#include <stddef.h>
#include <stdint.h>

struct byte_queue {
	uint8_t *block;
	size_t begin, end, room;
};

static inline size_t queued_bytes(const struct byte_queue *queue) { return queue->end - queue->begin; }
/* Room for so many bytes at the end; raise `end` when they are written. */
uint8_t *queue_reserve(struct byte_queue *queue, size_t bytes);
void queue_append(struct byte_queue *queue, const void *bytes, size_t count);
/* A number of `count` bytes (1 to 8), the highest first. */
void queue_append_number(struct byte_queue *queue, uint64_t number, int count);
#endif
