#include "amqp-wire.h"
#include "base.h"
#include <string.h>

size_t frame_begin(struct byte_queue *queue, enum frame frame, int channel)
{
	queue_append_number(queue, frame, 1);
	queue_append_number(queue, (uint64_t)channel, 2);
	queue_append_number(queue, 0, 4);
	return queued_bytes(queue); /* Relative: the block may move. */
}

size_t method_begin(struct byte_queue *queue, int channel, enum method method)
{
	size_t begun = frame_begin(queue, FRAME_METHOD, channel);
	queue_append_number(queue, method, 4);
	return begun;
}

void frame_end(struct byte_queue *queue, size_t begun)
{
	size_t bytes = queued_bytes(queue) - begun;
	uint8_t *length = queue->block + queue->begin + begun - 4;
	for (int i = 0; i < 4; i++) length[i] = (uint8_t)(bytes >> (8 * (3 - i)));
	queue_append_number(queue, FRAME_END, 1);
}

void append_short_text(struct byte_queue *queue, const char *text)
{
	size_t bytes = strlen(text);
	if (bytes > 255) fail("%s: longer than 255 bytes", text);
	queue_append_number(queue, bytes, 1);
	queue_append(queue, text, bytes);
}
