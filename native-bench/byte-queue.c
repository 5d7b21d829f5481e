#include "byte-queue.h"
#include "base.h"
#include <string.h>

uint8_t *queue_reserve(struct byte_queue *queue, size_t bytes)
{
	if (queue->end + bytes > queue->room && queue->begin > 0) {
		memmove(queue->block, queue->block + queue->begin, queued_bytes(queue));
		queue->end -= queue->begin;
		queue->begin = 0;
	}
	if (queue->end + bytes > queue->room) {
		size_t room = most(queue->room * 2, queue->end + bytes);
		queue->block = grown(queue->block, queue->room, room, 1);
		queue->room = room;
	}
	return queue->block + queue->end;
}

void queue_append(struct byte_queue *queue, const void *bytes, size_t count)
{
	memcpy(queue_reserve(queue, count), bytes, count);
	queue->end += count;
}

void queue_append_number(struct byte_queue *queue, uint64_t number, int count)
{
	uint8_t bytes[8];
	for (int i = 0; i < count; i++) bytes[i] = (uint8_t)(number >> (8 * (count - 1 - i)));
	queue_append(queue, bytes, (size_t)count);
}
