/*
 * The bytes of AMQP 0-9-1 (its specification, section 2.3.5 and 4.2). Everything is a frame, numbers highest byte first:
 *
 *   0      1         3        7
 *   +------+---------+--------+----------------------+------+
 *   | type | channel | bytes  | payload ...          | 0xce |
 *   +------+---------+--------+----------------------+------+
 *
 *   1 method   u16 class, u16 method, arguments
 *   2 header   u16 class, u16 0, u64 bytes of the body, u16 flags, properties
 *   3 body     a part of a message
 *   8 heartbeat
 */
#ifndef AMQP_WIRE_H
#define AMQP_WIRE_H
#include "byte-queue.h"

enum frame { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3 };
#define FRAME_HEAD_BYTES 7
#define FRAME_END 0xce

/* Class and method in one number. */
#define METHOD(class_, method_) ((uint32_t)(class_) << 16 | (method_))
enum method {
	CONNECTION_START = METHOD(10, 10), CONNECTION_START_OK = METHOD(10, 11), CONNECTION_TUNE = METHOD(10, 30),
	CONNECTION_TUNE_OK = METHOD(10, 31), CONNECTION_OPEN = METHOD(10, 40), CONNECTION_OPEN_OK = METHOD(10, 41),
	CONNECTION_CLOSE = METHOD(10, 50), CONNECTION_CLOSE_OK = METHOD(10, 51),
	CHANNEL_OPEN = METHOD(20, 10), CHANNEL_OPEN_OK = METHOD(20, 11), CHANNEL_CLOSE = METHOD(20, 40),
	QUEUE_DECLARE = METHOD(50, 10), QUEUE_DECLARE_OK = METHOD(50, 11),
	BASIC_QOS = METHOD(60, 10), BASIC_QOS_OK = METHOD(60, 11), BASIC_CONSUME = METHOD(60, 20),
	BASIC_CONSUME_OK = METHOD(60, 21), BASIC_CANCEL = METHOD(60, 30), BASIC_PUBLISH = METHOD(60, 40),
	BASIC_DELIVER = METHOD(60, 60), BASIC_ACK = METHOD(60, 80), BASIC_NACK = METHOD(60, 120),
	CONFIRM_SELECT = METHOD(85, 10), CONFIRM_SELECT_OK = METHOD(85, 11)
};

/* Begins a frame; answers what frame_end() wants when its payload is appended. */
size_t frame_begin(struct byte_queue *queue, enum frame frame, int channel);
size_t method_begin(struct byte_queue *queue, int channel, enum method method);
void frame_end(struct byte_queue *queue, size_t begun);

/* Up to 255 bytes behind their length. */
void append_short_text(struct byte_queue *queue, const char *text);

static inline uint64_t number_at(const uint8_t *at, int count)
{
	uint64_t number = 0;
	while (count-- > 0) number = number << 8 | *at++;
	return number;
}
#endif
