#include "payload.h"
#include "base.h"
#include <string.h>

#define MARKER 0x52545350u

_Static_assert(sizeof(struct payload) == PAYLOAD_BYTES_MIN, "the drawing in payload.h");

static uint64_t seal_of(const struct payload *payload)
{
	uint64_t seal = scatter((uint64_t)payload->run << 32 | payload->sender);
	seal = scatter(seal + payload->number);
	seal = scatter(seal + payload->sent_ns);
	return scatter(seal + payload->bytes);
}

void payload_write(uint8_t *target, const struct payload *payload)
{
	struct payload sealed = *payload;
	sealed.marker = MARKER;
	sealed.seal = seal_of(payload);
	memcpy(target, &sealed, sizeof sealed);
	uint64_t pattern = ~sealed.seal;
	uint8_t *at = target + sizeof sealed, *end = target + payload->bytes;
	for (; end - at >= 8; at += 8) memcpy(at, &pattern, 8);
	memcpy(at, &pattern, (size_t)(end - at));
}

bool payload_read(const uint8_t *source, size_t bytes, struct payload *payload)
{
	if (bytes < sizeof *payload) return false;
	memcpy(payload, source, sizeof *payload);
	if (payload->marker != MARKER || payload->bytes != bytes || payload->seal != seal_of(payload)) return false;
	uint64_t pattern = ~payload->seal, word, wrong = 0;
	const uint8_t *at = source + sizeof *payload, *end = source + bytes;
	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, 8);
		wrong |= word ^ pattern;
	}
	return wrong == 0 && memcmp(at, &pattern, (size_t)(end - at)) == 0;
}
